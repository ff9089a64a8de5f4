"""Applying drawn parameters to frames: a pure function of both, and a chain of streams, so memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from limpid.degrade import kernels, ops, shrink
from limpid.degrade.drawing import Drawn
from limpid.degrade.ranges import DrawnStep
from limpid.video.roundtrip import stream_roundtrip


def apply(frames: Iterable[np.ndarray], drawn: Drawn) -> Iterator[np.ndarray]:
    """Degrade a stream of frames.

    Args:
        frames: ``drawn.num_frames`` frames RGB ``h w 3`` of the size ``drawn.source``, uint8 or float in 0..255. They
            are taken one by one; a video codec holds some tens of frames back.
        drawn: from `limpid.degrade.draw`.

    Yields:
        RGB uint8 of the size ``drawn.target``, as many as came in.

    Raises:
        ValueError: size or number of the frames are others than those that `drawn` was made for.
    """
    # each step is a stream over the one before, so that few frames are held at a time
    stream: _FrameStream = _checked(frames, drawn)
    for step in drawn.steps:
        stream = _OPS[step["op"]](stream, step, drawn)
    for number, frame in enumerate(stream):
        if frame.shape[:2] != drawn.target:
            raise ValueError(
                f"frame {number} came out as {frame.shape[1]}x{frame.shape[0]}: the steps are not complete"
            )
        yield ops.to_bytes(frame)


def apply_to_clip(frames: np.ndarray, drawn: Drawn) -> np.ndarray:
    """Degrade a clip in memory (see `apply`): ``t h w 3`` -> RGB uint8 ``t h/scale w/scale 3``."""
    return np.stack(list(apply(frames, drawn)))


def _checked(frames: Iterable[np.ndarray], drawn: Drawn) -> Iterator[np.ndarray]:
    number = 0
    for number, frame in enumerate(frames, 1):
        if frame.shape != (*drawn.source, 3):
            raise ValueError(f"frame {number - 1} has shape {frame.shape}, the parameters are for {drawn.source}")
        if number > drawn.num_frames:
            raise ValueError(f"the parameters are for {drawn.num_frames} frames, and there are more")
        yield frame.astype(np.float32)
    if number < drawn.num_frames:
        raise ValueError(f"the parameters are for {drawn.num_frames} frames, and there are {number}")


_FrameStream = Iterable[np.ndarray]


def _at(values: Sequence[Any], number: int) -> Any:
    """The value of a random walk for a frame; a list of one holds for all."""
    return values[0] if len(values) == 1 else values[number]


def _unsharp(frames: _FrameStream, step: DrawnStep, drawn: Drawn) -> _FrameStream:
    return (
        ops.unsharp(frame, size=step["size"], weight=step["weight"], threshold=step["threshold"]) for frame in frames
    )


def _blur(frames: _FrameStream, step: DrawnStep, drawn: Drawn) -> _FrameStream:
    return (ops.blur(frame, kernel_at(step, number)) for number, frame in enumerate(frames))


def kernel_at(step: DrawnStep, number: int) -> np.ndarray:
    """The kernel of a drawn blur for one frame, float64 with sum 1."""
    names = ("sigma_x", "sigma_y", "angle", "beta", "omega")
    values = {name: _at(step[name], number) if name in step else 1.0 for name in names}
    if "beta_mix" in step:
        values["beta"] = 1 + _at(step["beta_mix"], number) * (values["beta"] - 1)
    return kernels.kernel(step["kind"], step["size"], **values)


def _resize(frames: _FrameStream, step: DrawnStep, drawn: Drawn) -> _FrameStream:
    for number, frame in enumerate(frames):
        height, width = _at(step["sizes"], number)
        yield ops.resize_frame(frame, height, width, step["how"])


def _gaussian_noise(frames: _FrameStream, step: DrawnStep, drawn: Drawn) -> _FrameStream:
    for number, frame in enumerate(frames):
        random = np.random.Generator(np.random.PCG64([step["seed"], number]))
        yield ops.gaussian_noise(frame, _at(step["sigma"], number), gray=step["gray"], random=random)


def _poisson_noise(frames: _FrameStream, step: DrawnStep, drawn: Drawn) -> _FrameStream:
    for number, frame in enumerate(frames):
        random = np.random.Generator(np.random.PCG64([step["seed"], number]))
        scale = _at(step["scale"], number)
        yield ops.poisson_noise(frame, scale, gray=step["gray"], white=step["white"], random=random)


def _jpeg(frames: _FrameStream, step: DrawnStep, drawn: Drawn) -> _FrameStream:
    for number, frame in enumerate(frames):
        yield ops.jpeg(frame, _at(step["quality"], number), swapped=step["swapped"])


_NEEDS_A_RATE = ("mpeg2video",)
"""Codecs that know the frame rates of television only."""


def _codec(frames: _FrameStream, step: DrawnStep, drawn: Drawn) -> _FrameStream:
    """Frames through a video codec. Those of a random walk differ in size; they all get that of the first."""
    codec = "libx264" if step["codec"] == "h264" else step["codec"]
    bits = step.get("bits_per_frame")
    if step["codec"] in _NEEDS_A_RATE and bits is not None:
        bits, rate = bits * 25, 25
    else:
        rate = 25 if bits is None else 1  # one frame per second makes bits per second bits per frame
    decoded = stream_roundtrip(_one_size(frames), codec=codec, crf=step.get("crf"), bit_rate=bits, rate=rate)
    return (frame.astype(np.float32) for frame in decoded)


def _one_size(frames: _FrameStream) -> Iterator[np.ndarray]:
    size: tuple[int, int] | None = None
    for frame in frames:
        size = size or (frame.shape[0], frame.shape[1])
        pixels = ops.to_bytes(frame)
        yield pixels if pixels.shape[:2] == size else ops.resize_frame(pixels, size[0], size[1], "bilinear")


def _bicubic(frames: _FrameStream, step: DrawnStep, drawn: Drawn) -> _FrameStream:
    return (shrink.bicubic(frame, drawn.scale) for frame in frames)


def _blur_downsample(frames: _FrameStream, step: DrawnStep, drawn: Drawn) -> _FrameStream:
    for frame in frames:
        yield shrink.blur_downsample(frame, drawn.scale, sigma=step["sigma"], corner=step["corner"])


def _simple_shrink(frames: _FrameStream, step: DrawnStep, drawn: Drawn) -> _FrameStream:
    return (shrink.area(frame, drawn.scale, blur_sigma=step["blur_sigma"]) for frame in frames)


_OPS: dict[str, Callable[[_FrameStream, DrawnStep, Drawn], _FrameStream]] = {
    "unsharp": _unsharp,
    "blur": _blur,
    "resize": _resize,
    "gaussian_noise": _gaussian_noise,
    "poisson_noise": _poisson_noise,
    "jpeg": _jpeg,
    "codec": _codec,
    "bicubic": _bicubic,
    "blur_downsample": _blur_downsample,
    "simple_shrink": _simple_shrink,
}
