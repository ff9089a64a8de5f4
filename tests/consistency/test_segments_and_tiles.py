"""A clip that is longer than a segment and larger than a tile: neither may show in texture that is made up."""

from __future__ import annotations

from typing import Any

import pytest

from .bars import COMPOSITIONS, STEPS, is_kept, is_stable, make_clip, no_jump, no_seam, passed
from .hallucination import Hallucinating, method, run, to_arrays

HARD_TILES: dict[str, Any] = {"tile_px": 32}
BLENDED_TILES: dict[str, Any] = {"tile_px": 48, "tile_overlap_px": 32, "tile_weights": "gaussian"}
JOINED: dict[str, Any] = {"joint_frames": 4, "reach_frames": 8}


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
