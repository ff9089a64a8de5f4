"""Where runs were cut: from their plans, for local and blended methods, in time and space."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from limpid.bench.cuts import tile_cuts, time_cuts
from limpid.cuts.blended import Blended
from limpid.method import Method
from limpid.methods import find_method
from limpid.metrics import Clips, measure
from limpid.plan.segments import Plan, Rung
from limpid.types import Window

LOCAL = find_method("tiny")
BLENDED = replace(LOCAL, cuts=Blended(window_frames=8, window_overlap_frames=4, tile_overlap_px=16))


def blended(**changes: Any) -> Method:
    """The blended method with other lengths."""
    return replace(BLENDED, cuts=replace(BLENDED.cuts, **changes))


def plan(*segments: tuple[int, ...], local: bool = False, **rung: Any) -> dict[str, Any]:
    """Segments as ``shot, its start, its stop, core start, stop, halo start, stop``."""
    made = Plan(
        segments=(),
        frames=Window(start=0, stop=max(s[4] for s in segments)),
        local=local,
        halo_frames=0,
        grid_frames=1,
        rung=Rung(chunk_frames=1, **rung),
        threads=1,
        peak_bytes=1,
    )
    return {**made.to_dict(), "segments": segments}


def test_segments_are_joints_and_beginnings_of_shots_are_not() -> None:
    segments = [(0, 0, 20, 0, 10, 0, 12), (0, 0, 20, 10, 20, 8, 20), (1, 20, 30, 20, 30, 20, 30)]
    assert time_cuts(plan(*segments, local=True), LOCAL) == (10,)
    part = {**plan((0, 0, 20, 5, 10, 3, 12), (0, 0, 20, 10, 20, 8, 20), local=True), "frames": [5, 20]}
    assert time_cuts(part, LOCAL) == (5,)


def test_windows_of_blended_methods_begin_and_end() -> None:
    assert time_cuts(plan((0, 0, 20, 0, 20, 0, 20)), BLENDED) == (4, 8, 12, 16)
    assert time_cuts(plan((0, 0, 20, 0, 20, 0, 20), window_frames=16), blended(window_overlap_frames=2)) == (
        4,
        16,
    )
    assert time_cuts(plan((0, 0, 20, 0, 20, 0, 20), local=True), LOCAL) == ()
    segments = [(0, 0, 20, 0, 12, 0, 14), (0, 0, 20, 12, 20, 8, 20)]
    assert time_cuts(plan(*segments), blended(window_overlap_frames=0)) == (6, 8, 12, 16)


def test_tiles_of_local_methods_meet_at_multiples() -> None:
    one = plan((0, 0, 4, 0, 4, 0, 4), local=True, tile_px=60)
    assert tile_cuts(one, LOCAL, 160, 4) == (256, 512)
    assert tile_cuts(plan((0, 0, 4, 0, 4, 0, 4), local=True), LOCAL, 160, 4) == ()


def test_tiles_of_blended_methods_overlap() -> None:
    one = plan((0, 0, 4, 0, 4, 0, 4), tile_px=64)
    assert tile_cuts(one, BLENDED, 112, 4) == (48 * 4, 64 * 4)
    assert tile_cuts(one, BLENDED, 64, 4) == ()
    assert tile_cuts(one, blended(tile_overlap_px=0), 96, 4) == (32 * 4, 64 * 4)
    decoder = plan((0, 0, 4, 0, 4, 0, 4), decode_tile_px=64)
    assert tile_cuts(decoder, blended(decode_tile_overlap_px=8), 120, 4) == (56 * 4, 64 * 4)


@pytest.mark.parametrize("step", [0, 6])
def test_a_step_at_a_cut_is_what_the_measure_sees(step: int) -> None:
    import numpy as np

    lr = np.full((2, 16, 40, 3), 100, np.uint8)
    sr = np.full((2, 64, 160, 3), 100, np.uint8)
    columns = tile_cuts(plan((0, 0, 2, 0, 2, 0, 2), local=True, tile_px=16), LOCAL, 40, 4)
    sr[:, :, columns[0] : columns[1]] += np.uint8(step)
    found = measure(["m4-tile-jump"], Clips(sr=sr, lr=lr, tile_columns=columns))["m4-tile-jump"]
    assert found.value == pytest.approx(step)
