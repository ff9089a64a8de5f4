"""Whether the parameters in a record are such as a pipeline draws: a ``.degraded.json`` may come from anyone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limpid.bounded import items, json_object, quoted, real, text, truth, whole_number
from limpid.degrade.kernels import KERNEL_KINDS
from limpid.degrade.ops import INTERPOLATION

MOST_STEPS = 64
MOST_FRAMES = 10_000_000
MOST_SIDE_PX = 1 << 16
MOST_PX = 1 << 27
MOST_KERNEL_PX = 255
_CODECS = ("h264", "libx264", "libx265", "mpeg4", "mpeg2video")

Check = Callable[[Any], object]


def check_drawn(values: dict[str, Any]) -> None:
    """Raises ValueError for the JSON of a `limpid.degrade.drawing.Drawn` that no pipeline has drawn."""
    text(values["pipeline"], 80)
    whole_number(values["seed"])
    whole_number(values["scale"], least=1, most=64)
    count = whole_number(values["num_frames"], least=1, most=MOST_FRAMES)
    for name in ("source", "target"):
        _size(values[name])
    for step in items(values["steps"], most=MOST_STEPS):
        _check_step(json_object(step, ("op",)), count)


def _check_step(step: dict[str, Any], count: int) -> None:
    needed, optional = STEPS.get(step["op"] if isinstance(step["op"], str) else "", (None, {}))
    if needed is None:
        raise ValueError(f"there is no step {quoted(step['op'])}")
    json_object(step, ("op", *needed), optional)
    for name, check in {**needed, **optional}.items():
        if name not in step:
            continue
        if isinstance(check, PerFrame):
            check.of(step[name], count)
        else:
            check(step[name])


class PerFrame:
    """A list with a value for each frame, or with one for all."""

    def __init__(self, check: Check) -> None:
        self.check = check

    def of(self, values: Any, count: int) -> None:
        found = items(values, least=1, most=MOST_FRAMES)
        if 1 < len(found) < count:
            raise ValueError(f"a step has {len(found)} values for {count} frames")
        for value in found:
            self.check(value)


def _size(value: Any) -> None:
    height, width = (whole_number(side, least=1, most=MOST_SIDE_PX) for side in items(value, least=2, most=2))
    if height * width > MOST_PX:
        raise ValueError(f"{width}x{height} is too large")


def _number(least: float, most: float) -> Check:
    return lambda value: real(value, least=least, most=most)


def _count(least: int, most: int) -> Check:
    return lambda value: whole_number(value, least=least, most=most)


def _odd(value: Any) -> None:
    if whole_number(value, least=1, most=MOST_KERNEL_PX) % 2 == 0:
        raise ValueError(f"a kernel of {value} pixels has no middle")


def _one_of(*names: str) -> Check:
    def check(value: Any) -> None:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"{quoted(value)} is not one of {', '.join(names)}")

    return check


_SHAPE = {name: PerFrame(_number(1e-3, 1e3)) for name in ("sigma_x", "sigma_y", "beta", "omega")}
_NOISE: dict[str, Any] = {"seed": whole_number, "gray": truth}
_CODEC_VALUES = {"crf": _count(0, 63), "bits_per_frame": _count(1, 1 << 40)}
STEPS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "unsharp": ({"size": _odd, "weight": _number(0, 100), "threshold": _number(0, 255)}, {}),
    "blur": (
        {"kind": _one_of(*KERNEL_KINDS), "size": _odd},
        {**_SHAPE, "angle": PerFrame(_number(-100, 100)), "beta_mix": PerFrame(_number(0, 1))},
    ),
    "resize": (
        {"how": _one_of(*INTERPOLATION), "sizes": PerFrame(_size)},
        {"mode": text, "scale": PerFrame(_number(0, 64))},
    ),
    "gaussian_noise": ({**_NOISE, "sigma": PerFrame(_number(0, 1000))}, {}),
    "poisson_noise": ({**_NOISE, "white": _number(1e-3, 1e4), "scale": PerFrame(_number(0, 1000))}, {}),
    "jpeg": ({"quality": PerFrame(_number(0, 100)), "swapped": truth}, {}),
    "codec": ({"codec": _one_of(*_CODECS)}, _CODEC_VALUES),
    "bicubic": ({}, {}),
    "blur_downsample": ({"sigma": _number(1e-3, 100), "corner": truth}, {}),
    "simple_shrink": ({"blur_sigma": _number(0, 100)}, {}),
}
"""Step -> the values that it needs, and those that it may have."""
