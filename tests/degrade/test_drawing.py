"""What is drawn: the numbers of RealBasicVSR's configuration, over a thousand clips."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from itertools import pairwise
from math import pi
from typing import Any

import numpy as np
import pytest

from limpid.degrade import PIPELINES, Drawn, draw

CLIPS, FRAMES = 1000, 5
SIGMAS = 4.0
"""Standard deviations by which a mean over the clips may be off: one in 16,000."""


def drawn(name: str, seed: int, frames: int = FRAMES) -> Drawn:
    return draw(PIPELINES[name], num_frames=frames, height=256, width=256, seed=seed)


@cache
def thousand(name: str = "realbasicvsr") -> list[Drawn]:
    return [drawn(name, seed) for seed in range(CLIPS)]


def steps(op: str, which: int, name: str = "realbasicvsr") -> list[dict[str, Any]]:
    """The ``which``-th step of a kind in every clip that has it."""
    found = [[step for step in clip.steps if step["op"] == op] for clip in thousand(name)]
    return [of_clip[which] for of_clip in found if len(of_clip) > which]


def stage(number: int, name: str = "realbasicvsr") -> list[list[dict[str, Any]]]:
    """The steps of each clip before (1) or after (2) its first JPEG."""
    parts = []
    for clip in thousand(name):
        cut = next(i for i, step in enumerate(clip.steps) if step["op"] == "jpeg")
        parts.append(list(clip.steps[: cut + 1] if number == 1 else clip.steps[cut + 1 :]))
    return parts


def check_share(count: int, of: int, chance: float) -> None:
    assert abs(count / of - chance) < SIGMAS * (chance * (1 - chance) / of) ** 0.5, (count / of, chance)


def check_shares(values: list[Any], chances: dict[Any, float]) -> None:
    counts = Counter(values)
    assert set(counts) <= set(chances)
    for value, chance in chances.items():
        check_share(counts[value], len(values), chance)


def check_uniform(values: list[float], low: float, high: float) -> None:
    found = np.array(values)
    assert found.min() >= low and found.max() <= high
    assert found.min() < low + 0.1 * (high - low) and found.max() > high - 0.1 * (high - low)
    assert abs(found.mean() - (low + high) / 2) < SIGMAS * (high - low) / 12**0.5 / len(found) ** 0.5


def check_walk(walks: list[list[float]], step: float, low: float, high: float) -> None:
    changes = np.array([b - a for walk in walks for a, b in pairwise(walk)])
    assert np.abs(changes).max() <= step + 1e-9
    assert np.abs(changes).max() > 0.9 * step and abs(changes.mean()) < 0.1 * step
    assert min(map(min, walks)) >= low and max(map(max, walks)) <= high


KINDS = {
    "iso": 0.405,
    "aniso": 0.225,
    "generalized_iso": 0.108,
    "generalized_aniso": 0.027,
    "plateau_iso": 0.108,
    "plateau_aniso": 0.027,
    "sinc": 0.1,
}


@pytest.mark.parametrize(("number", "prob", "sigma"), [(1, 1.0, (0.2, 3.0)), (2, 0.8, (0.2, 1.5))])
def test_blur(number: int, prob: float, sigma: tuple[float, float]) -> None:
    parts = stage(number)
    noisy = [[s["op"] for s in part].index(next(s["op"] for s in part if "noise" in s["op"])) for part in parts]
    blurs = [s for part, end in zip(parts, noisy, strict=True) for s in part[:end] if s["op"] == "blur"]
    check_share(len(blurs), CLIPS, prob) if prob < 1 else None
    check_shares([b["kind"] for b in blurs], KINDS)
    check_shares([b["size"] for b in blurs], dict.fromkeys(range(7, 22, 2), 1 / 8))
    axes = [b["sigma_x"] for b in blurs if "sigma_x" in b]
    check_uniform([walk[0] for walk in axes], *sigma)
    check_walk(axes, 0.02, *sigma)
    turned = [b for b in blurs if "angle" in b]
    check_uniform([b["sigma_y"][0] for b in turned], *sigma)
    check_walk([b["sigma_y"] for b in turned], 0.02, *sigma)
    check_uniform([b["angle"][0] for b in turned], -pi, pi)
    check_walk([b["angle"] for b in turned], 0.31416, -pi, pi)
    for kind, step, low, high in (("generalized", 0.05, 0.5, 4.0), ("plateau", 0.1, 1.0, 2.0)):
        betas = [b["beta"] for b in blurs if b["kind"].startswith(kind)]
        check_uniform([walk[0] for walk in betas], low, high)
        check_walk(betas, step, low, high)
    for small, low in ((True, pi / 3), (False, pi / 5)):
        omegas = [b["omega"] for b in blurs if b["kind"] == "sinc" and (b["size"] < 13) == small]
        check_uniform([walk[0] for walk in omegas], low, pi)
        check_walk(omegas, 0.0629, low, pi)


RESIZES = [(0, (0.2, 0.7, 0.1), (0.15, 1.5), 0.015), (1, (0.3, 0.4, 0.3), (0.3, 1.2), 0.03)]


@pytest.mark.parametrize(("which", "modes", "scale", "step"), RESIZES)
def test_resize(which: int, modes: tuple[float, ...], scale: tuple[float, float], step: float) -> None:
    found = steps("resize", which)
    check_shares([s["mode"] for s in found], dict(zip(("up", "down", "keep"), modes, strict=True)))
    check_shares([s["how"] for s in found], {"bilinear": 1 / 3, "area": 1 / 3, "bicubic": 1 / 3})
    starts = {mode: [s["scale"][0] for s in found if s["mode"] == mode] for mode in ("up", "down", "keep")}
    check_uniform(starts["up"], 1.0, scale[1])
    check_uniform(starts["down"], scale[0], 1.0)
    assert set(starts["keep"]) == {1.0}
    assert any(s["scale"][1] != 1.0 for s in found if s["mode"] == "keep")
    check_walk([s["scale"] for s in found], step, *scale)
    assert all(side % 2 == 0 and side >= 16 for s in found for size in s["sizes"] for side in size)


def test_the_second_resize_is_relative_to_the_size_there_or_to_the_result() -> None:
    for name, of_target in (("realbasicvsr", False), ("real-esrgan", True)):
        first, second = steps("resize", 0, name), steps("resize", 1, name)
        for one, two in zip(first, second, strict=True):
            base = 64 if of_target else one["sizes"][0][0]
            assert two["sizes"][0][0] == max(16, 2 * int(base * two["scale"][0] // 2))


NOISES = [("realbasicvsr", 1, 30.0, 3.0), ("realbasicvsr", 2, 25.0, 2.5), ("stablesr", 1, 15.0, 2.0)]


@pytest.mark.parametrize(("name", "number", "sigma", "poisson"), NOISES)
def test_noise(name: str, number: int, sigma: float, poisson: float) -> None:
    found = [next(s for s in part if "noise" in s["op"]) for part in stage(number, name)]
    check_share(sum(s["op"] == "gaussian_noise" for s in found), CLIPS, 0.5)
    check_share(sum(s["gray"] for s in found), CLIPS, 0.4)
    gaussian = [s["sigma"] for s in found if "sigma" in s]
    shot = [s["scale"] for s in found if "scale" in s]
    check_uniform([walk[0] for walk in gaussian], 1.0, sigma)
    check_uniform([walk[0] for walk in shot], 0.05, poisson)
    if name == "realbasicvsr":
        check_walk(gaussian, 0.1, 1.0, sigma)
        check_walk(shot, 0.005, 0.05, poisson)


@pytest.mark.parametrize("which", [0, 1])
def test_jpeg(which: int) -> None:
    found = [step["quality"] for step in steps("jpeg", which)]
    assert all(isinstance(quality, int) for walk in found for quality in walk)
    check_uniform([walk[0] for walk in found], 30, 95)
    check_walk(found, 3, 30, 95)


@pytest.mark.parametrize("which", [0, 1])
def test_codec(which: int) -> None:
    found = steps("codec", which)
    assert len(found) == CLIPS
    check_shares([step["codec"] for step in found], {"libx264": 1 / 3, "h264": 1 / 3, "mpeg4": 1 / 3})
    check_uniform([step["bits_per_frame"] for step in found], 10_000, 100_000)


def test_the_last_steps_are_swapped_in_half_of_the_clips_and_never_in_mgld() -> None:
    def last(clip: Drawn) -> tuple[str, ...]:
        ops = [step["op"] for step in clip.steps]
        return tuple(ops[len(ops) - ops[::-1].index("jpeg") :])

    orders = [last(clip) for clip in thousand()]
    check_share(sum(order[0] == "codec" for order in orders), CLIPS, 0.5)
    check_share(sum("blur" in order for order in orders), CLIPS, 0.8)
    assert set(orders) == {
        ("codec", "resize"),
        ("codec", "resize", "blur"),
        ("resize", "codec"),
        ("resize", "blur", "codec"),
    }
    assert all(last(drawn("mgld", seed))[:2] == ("codec", "resize") for seed in range(50))
    sincs = [clip.steps[-1] for clip in thousand() if clip.steps[-1]["op"] == "blur"]
    check_uniform([s["omega"][0] for s in sincs], pi / 3, pi)


def test_variants() -> None:
    names = {name: [step["op"] for step in drawn(name, 5).steps] for name in PIPELINES}
    sharpened = {name for name, ops in names.items() if "unsharp" in ops}
    assert sharpened == {"realbasicvsr", "realbasicvsr-area", "dove", "real-esrgan"}
    assert all("codec" not in names[name] for name in ("real-esrgan", "stablesr", "bicubic"))
    for step in drawn("dove", 3).steps:
        lists = {
            key: value for key, value in step.items() if isinstance(value, list) and key not in ("sizes", "beta_mix")
        }
        assert all(len(set(value)) == 1 for key, value in lists.items() if key != "quality")
    qualities = [step["quality"] for step in drawn("dove", 3).steps if step["op"] == "jpeg"]
    assert all(len(set(walk)) > 1 for walk in qualities)


def test_bits_in_proportion_to_the_area() -> None:
    big = {"num_frames": 1, "height": 512, "width": 1024, "seed": 4}
    plain, scaled = (
        [s["bits_per_frame"] for s in draw(PIPELINES[name], **big).steps if s["op"] == "codec"]
        for name in ("realbasicvsr", "realbasicvsr-area")
    )
    assert scaled == [8 * bits for bits in plain]


@pytest.mark.parametrize("name", PIPELINES)
def test_a_seed_is_a_clip_and_the_record_is_complete(name: str) -> None:
    first = drawn(name, 7)
    assert first == drawn(name, 7)
    assert Drawn.from_json(json.loads(json.dumps(first.to_json()))) == first
    if name not in ("bicubic", "blur-downsample", "blur-downsample-corner"):
        assert first.steps != drawn(name, 8).steps


def test_a_longer_clip_begins_like_a_shorter_one() -> None:
    for seed in range(20):
        for short, long in zip(drawn("realbasicvsr", seed, 3).steps, drawn("realbasicvsr", seed, 9).steps, strict=True):
            for key, value in short.items():
                assert value == (long[key][: len(value)] if isinstance(value, list) else long[key])


def test_the_same_on_every_machine() -> None:
    """Numbers that were drawn once; NumPy promises streams of PCG64 and SeedSequence that do not change."""
    codecs = [step for step in drawn("realbasicvsr", 0).steps if step["op"] == "codec"]
    assert [(step["codec"], step["bits_per_frame"]) for step in codecs] == GOLDEN


GOLDEN = [("h264", 56569), ("h264", 69626)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_frames": 0}, "at least one frame"),
        ({"seed": -1}, "0 or more, not -1"),
        ({"height": 255}, "256x255 is not a multiple of the scale 4"),
        ({"height": 28}, "too small for scale 4: both sides need at least 32"),
        ({"scale": 0}, "must be 1 or more"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: dict[str, int], says: str) -> None:
    wanted = {"num_frames": 2, "height": 256, "width": 256, "seed": 0, **changes}
    with pytest.raises(ValueError, match=says):
        draw(PIPELINES["realbasicvsr"], **wanted)


def test_other_json_is_no_record() -> None:
    with pytest.raises(ValueError, match="no parameters of a degradation"):
        Drawn.from_json({"format": 99})
