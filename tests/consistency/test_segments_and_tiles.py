"""A clip that is longer than a segment and larger than a tile: neither may show in texture that is made up."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from limpid.consistency.transition import LatentTransition

from .bars import COMPOSITIONS, STEPS, is_kept, is_stable, make_clip, no_jump, no_seam, passed
from .hallucination import Hallucinating, clip, method, run, to_arrays

HARD_TILES: dict[str, Any] = {"tile_px": 32}
BLENDED_TILES: dict[str, Any] = {"tile_px": 48, "tile_overlap_px": 32, "tile_weights": "gaussian"}
JOINED: dict[str, Any] = {"joint_frames": 4, "context_frames": 8}


@pytest.mark.parametrize(
    ("name", "cut", "expected"),
    [
        ("none", HARD_TILES, set()),
        ("propagation", {**BLENDED_TILES, **JOINED}, {"stable", "no seam", "no jump"}),
        ("rescheduling + transition", {**BLENDED_TILES, **JOINED}, {"no seam", "no jump", "kept"}),
        ("rescheduling + propagation", {**BLENDED_TILES, **JOINED}, {"stable", "no seam", "no jump", "kept"}),
    ],
)
def test_texture_over_segments_and_tiles(name: str, cut: dict[str, Any], expected: set[str]) -> None:
    """Segments of 12 frames; tiles, two by two, meet in the middle."""
    given, chosen = make_clip(48, 48, 64, speed=0), COMPOSITIONS[name]
    prior = Hallucinating()
    m = method(prior, chosen.strategy, steps=STEPS, **chosen.changes, **cut)
    out = to_arrays(run(m, prior, given.lr, segment_frames=12))
    checks = {
        "stable": lambda: is_stable(out, given),
        "no seam": lambda: no_seam(out, given, range(12, 37, 12)),
        "no jump": lambda: no_jump(out, given, 128),
        "kept": lambda: is_kept(out, given),
    }
    assert passed(checks) == expected


@pytest.mark.parametrize("frames", [40, 45])
def test_lanes_do_not_know_of_segments(frames: int) -> None:
    """Segments on the grid that share one overlap give what the whole shot gives: a joint is one more transition."""
    chosen, prior, lr = COMPOSITIONS["rescheduling + transition"], Hallucinating(), clip(frames, 8, 12)
    m = method(prior, chosen.strategy, steps=3, **chosen.changes, joint_frames=4)
    torch.testing.assert_close(run(m, prior, lr, segment_frames=12), run(m, prior, lr), rtol=0, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 5, 8, 10, 13, 16, 20])
def test_reflected_frames_are_gone_in_the_end(frames: int) -> None:
    prior, strategy = Hallucinating(), LatentTransition(padding_compat=True, fusion_compat=True)
    out = run(method(prior, strategy, steps=2, window_frames=None), prior, clip(frames, 8, 12))
    assert out.shape == (frames, 3, 32, 48)
