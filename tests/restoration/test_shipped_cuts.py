"""The shipped models through the real loop: frames have the same bits for any segments, tiles and windows."""

from __future__ import annotations

import pytest
import torch
from fakes import sample
from torch import Tensor

from limpid.method import Method, Prior
from limpid.methods import small, tiny
from limpid.types import Placement, Segment, Window

FRAMES, HEIGHT, WIDTH = 11, 18, 110
CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)


METHODS = {"small": small(), "tiny": tiny()}


@pytest.fixture(scope="module")
def priors() -> dict[str, Prior]:
    return {name: method.load(CPU) for name, method in METHODS.items()}


@pytest.fixture(scope="module")
def lr() -> Tensor:
    return torch.rand(FRAMES, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


def run(method: Method, prior: Prior, lr: Tensor, *, segment_frames: int, steps: int, **cuts: int | None) -> Tensor:
    """The whole shot, segment by segment, each with the halo that the method asks for."""
    halo, parts = method.cuts.around(steps, (0, 0))[0], []
    for index, start in enumerate(range(0, FRAMES, segment_frames)):
        core = Window(start=start, stop=min(start + segment_frames, FRAMES))
        wide = Window(start=max(0, core.start - halo), stop=min(FRAMES, core.stop + halo))
        segment = Segment(index=index, shot=0, shot_start=0, shot_stop=FRAMES, core=core, halo=wide)
        frames = lr[wide.start : wide.stop]
        schedule = method.make_schedule(steps)
        parts.append(sample(method, prior, frames, segment, steps=schedule, seed=3, **cuts))
    return torch.cat(parts)


@pytest.mark.parametrize(
    ("name", "steps", "segment_frames", "cuts"),
    [
        ("tiny", 1, 4, {}),
        ("tiny", 1, 11, {"tile_px": 32, "window_frames": 5}),
        ("tiny", 2, 6, {"tile_px": 48}),
        ("small", 1, 4, {}),
        ("small", 1, 11, {"tile_px": 32, "window_frames": 5}),
    ],
)
def test_same_bits_for_any_cut(
    priors: dict[str, Prior], lr: Tensor, name: str, steps: int, segment_frames: int, cuts: dict[str, int]
) -> None:
    method, prior = METHODS[name], priors[name]
    whole = run(method, prior, lr, segment_frames=FRAMES, steps=steps)
    cut = run(method, prior, lr, segment_frames=segment_frames, steps=steps, **cuts)
    assert whole.shape == (FRAMES, 3, HEIGHT * 4, WIDTH * 4)
    assert torch.equal(whole, cut)


def test_strength_and_steps_and_seed_do_something(priors: dict[str, Prior], lr: Tensor) -> None:
    method, prior = METHODS["tiny"], priors["tiny"]
    segment = Segment(
        index=0, shot=0, shot_start=0, shot_stop=3, core=Window(start=0, stop=3), halo=Window(start=0, stop=3)
    )

    def drawn(seed: int, steps: int, strength: float) -> Tensor:
        schedule = method.make_schedule(steps)
        return sample(method, prior, lr[:3], segment, steps=schedule, seed=seed, strength=strength)

    plain = drawn(0, 4, 1.0)
    assert torch.equal(plain, drawn(0, 4, 1.0))
    for other in (drawn(1, 4, 1.0), drawn(0, 1, 1.0), drawn(0, 4, 0.3)):
        assert (plain - other).abs().mean() > 1e-4
