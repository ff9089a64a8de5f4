"""Timelines as plain JSON values, read back with every number looked at. Loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from limpid.bounded import MAX_WHOLE, check_fields, fraction
from limpid.types import Timeline

SCAN_NAME = "scan.json"
"""The timeline of an input in a work folder."""
MAX_SCAN_BYTES = 512 << 20


def timeline_to_dict(timeline: Timeline) -> dict[str, Any]:
    """Plain JSON values: the scan of a long film is kept in the work folder."""
    return {**asdict(timeline), "time_base": str(timeline.time_base)}


def timeline_from_dict(values: Mapping[str, Any]) -> Timeline:
    """The timeline that `timeline_to_dict` wrote. Raises ValueError, TypeError or KeyError for one that cannot be."""
    sequences = ("pts", "cuts", "clock_shifts", "changing_sound", "warnings")
    tuples = {name: tuple(values[name]) for name in sequences if name in values}
    timeline = Timeline(**{**values, **tuples, "time_base": fraction(values["time_base"])})
    check_fields(timeline, least=-MAX_WHOLE, most=MAX_WHOLE)
    numbers = ((timeline.pts, timeline.num_frames), (timeline.cuts, len(timeline.cuts)))
    rises = all(len(set(found)) == count and list(found) == sorted(found) for found, count in numbers)
    inside = timeline.cuts[:1] == (0,) and timeline.cuts[-1] < timeline.num_frames
    if not (rises and inside and timeline.time_base > 0 and timeline.last_duration > 0):
        raise ValueError("it is no timeline")
    return timeline
