"""Where a run was cut, in frames and pixels of its result, from the plan that it followed: what measure M4 looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpid.method import Method
from limpid.plan.segments import Plan

EDGE_PX = 8
"""Seams nearer to the edge of the picture are left out: there is nothing on their other side to compare with."""


def time_cuts(plan: Mapping[str, Any], method: Method) -> tuple[int, ...]:
    """Numbers of the frames that begin a new segment, or at which a window begins or the one before has ended.

    ``plan``: as `limpid.plan.segments.Plan.to_dict` says it. Beginnings of shots are no cuts.
    """
    made = Plan.from_dict(plan)
    cuts = {segment.core.start for segment in made.segments if segment.core.start > segment.shot_start}
    for segment in made.segments:
        cuts |= method.cuts.seam_frames(segment, made.rung)
    return tuple(sorted(cut - made.frames.start for cut in cuts if cut > made.frames.start))


def tile_cuts(plan: Mapping[str, Any], method: Method, side: int, scale: int) -> tuple[int, ...]:
    """First columns (or rows) behind each seam of tiles, in pixels of the result; ``side``: LR columns (or rows)."""
    cuts = method.cuts.seams_px(side, Plan.from_dict(plan).rung)
    return tuple(sorted(cut * scale for cut in cuts if EDGE_PX <= cut * scale < side * scale - EDGE_PX))
