"""Where a run was cut, in frames and pixels of its result, from the plan that it followed: what measure M4 looks at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from limpid.method import Method
from limpid.tiling.plan import Span, overlapping_spans

EDGE_PX = 8
"""Seams nearer to the edge of the picture are left out: there is nothing on their other side to compare with."""
ALIGN_PX = 8
"""Tiles of local methods begin at multiples of this (`limpid.plan.segments.ALIGN_PX`)."""


def time_cuts(plan: Mapping[str, Any], method: Method) -> tuple[int, ...]:
    """Numbers of the frames that begin a new segment, or at which a window begins or the one before has ended.

    ``plan``: as `limpid.plan.segments.Plan.to_dict` says it. Beginnings of shots are no cuts.
    """
    window, cuts = plan["rung"]["window_frames"] or method.window_frames, set()
    for _, shot_start, _, core_start, core_stop, halo_start, halo_stop in plan["segments"]:
        if core_start > shot_start:
            cuts.add(core_start)
        if not plan["local"] and window is not None:
            overlap = min(method.window_overlap_frames, window // 2)
            spans = overlapping_spans(halo_stop - halo_start, window, overlap, halo_start - shot_start)
            joints = {halo_start + place for place in _joints(spans)}
            cuts |= {joint for joint in joints if max(core_start, shot_start + 1) <= joint < core_stop}
    return tuple(sorted(cut - plan["frames"][0] for cut in cuts if cut > plan["frames"][0]))


def tile_cuts(plan: Mapping[str, Any], method: Method, side: int, scale: int) -> tuple[int, ...]:
    """First columns (or rows) behind each seam of tiles, in pixels of the result; ``side``: LR columns (or rows).

    Where tiles overlap, that is where the overlap begins and where it ends. Tiles of the decoder count too.
    """
    rung, cuts = plan["rung"], set()
    tile, decode_tile = rung["tile_px"], rung["decode_tile_px"]
    if tile is not None and plan["local"]:
        cuts |= set(range(-(-tile // ALIGN_PX) * ALIGN_PX, side, -(-tile // ALIGN_PX) * ALIGN_PX))
    elif tile is not None:
        cuts |= _joints(overlapping_spans(side, tile, min(method.tile_overlap_px, tile // 2)))
    if decode_tile is not None and not plan["local"]:
        cuts |= _joints(overlapping_spans(side, decode_tile, min(method.decode_tile_overlap_px, decode_tile // 2)))
    return tuple(sorted(cut * scale for cut in cuts if EDGE_PX <= cut * scale < side * scale - EDGE_PX))


def _joints(spans: Iterable[Span]) -> set[int]:
    return {place for before, behind in pairwise(spans) for place in (behind.start, before.stop)}
