"""Presentation times that later parts can rely on: one per frame, strictly increasing. Pure functions on numbers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np

_LOOK_AHEAD = 64
_MAX_REORDER = 8
"""Frames that decoding may run ahead of showing."""


class Repaired(NamedTuple):
    """Strictly increasing times and what had to be done for them."""

    pts: list[int]
    synthesised: bool
    """No frame had a time; all come from the frame rate."""
    changed: int
    """Frames whose time was missing, doubled or out of order."""
    restarts: tuple[int, ...] = ()
    """Where the clock starts again (joined recordings): what is added to the times from there on, one number each."""


def repair(
    raw: Sequence[int | None], fallback: Sequence[int | None], step: Fraction, *, longest_gap: int | None = None
) -> Repaired:
    """Times from what the decoder gave.

    ``raw`` are presentation times in display order, ``fallback`` the decode times of the same frames (some AVI files
    have only these), ``step`` the nominal ticks per frame. Times that are only mixed up are sorted; a lone wrong time
    is put between its neighbours; where the clock starts again (joined recordings), what follows is moved on by one
    nominal frame. So is what follows a gap of more than ``longest_gap``, where one is given.
    """
    times = raw
    if all(time is None for time in raw):
        if not raw or not _increasing(fallback):
            return Repaired([round(i * step) for i in range(len(raw))], bool(raw), 0)
        times = fallback
    ordered = _reordered(times, step)
    if ordered is not None:
        return Repaired(ordered, False, sum(a != b for a, b in zip(times, ordered, strict=True)))
    return _make_increasing(times, max(1, round(step)), longest_gap)


def _increasing(times: Sequence[int | None]) -> bool:
    known = [time for time in times if time is not None]
    return len(known) == len(times) and all(a < b for a, b in pairwise(known))


def _reordered(times: Sequence[int | None], step: Fraction) -> list[int] | None:
    """The times sorted, when that makes a nearly constant rate of them: AVI gives B-frames the times of decoding."""
    known = [time for time in times if time is not None]
    ordered = sorted(known)
    if len(known) != len(times) or ordered == known or not _increasing(ordered):
        return None
    if max(a - b for a, b in pairwise(known)) > _MAX_REORDER * step:
        return None
    tolerance = max(Fraction(1), step / 10)
    regular = sum(abs(b - a - step) <= tolerance for a, b in pairwise(ordered))
    return ordered if regular >= 0.8 * (len(ordered) - 1) else None


def _make_increasing(times: Sequence[int | None], step: int, longest_gap: int | None) -> Repaired:
    first = next(i for i, time in enumerate(times) if time is not None)
    start = times[first]
    assert start is not None
    pts = [start - step * (first - i) for i in range(first)]
    changed, offset, i, restarts = first, 0, first, []
    while i < len(times):
        time = times[i]
        last = pts[-1] if pts else start - step
        if time is not None and i > first and _restarts(times, i, time + offset - last, step, longest_gap):
            offset = last + step - time
            restarts.append(offset)
            pts.append(last + step)
            changed, i = changed + 1, i + 1
            continue
        if time is not None and (not pts or (time + offset > last and not _is_outlier(times, i, offset, last))):
            pts.append(time + offset)
            i += 1
            continue
        if time is None and _ends_here(times, i, offset, last, step, longest_gap):
            pts.append(last + step)
            changed, i = changed + 1, i + 1
            continue
        ahead = _next_usable(times, i, offset, last)
        if ahead is None and time is not None:
            offset = last + step - time
            restarts.append(offset)
            pts.append(last + step)
            changed, i = changed + 1, i + 1
            continue
        stop, goal = ahead or (i + 1, last + 2 * step)
        pts += [last + (goal - last) * (k - i + 1) // (stop - i + 1) for k in range(i, stop)]
        changed, i = changed + stop - i, stop
    return Repaired(pts, False, changed, tuple(restarts))


def _restarts(times: Sequence[int | None], i: int, jump: int, step: int, longest_gap: int | None) -> bool:
    """Whether frame ``i`` begins another recording: its time (``jump`` after that of the frame before) lies two frames
    back or more, or too far ahead, and the frames after it go on from there."""
    far = jump <= -step or (longest_gap is not None and jump > longest_gap)
    known = [time for time in times[i : i + 4] if time is not None]
    return far and len(known) == len(times[i : i + 4]) > 1 and all(0 < b - a < 4 * step for a, b in pairwise(known))


def _ends_here(times: Sequence[int | None], i: int, offset: int, last: int, step: int, longest_gap: int | None) -> bool:
    """Whether the next frame that has a time begins another recording, so that it says nothing of frame ``i``."""
    for k in range(i + 1, min(i + 1 + _LOOK_AHEAD, len(times))):
        time = times[k]
        if time is not None:
            return _restarts(times, k, time + offset - last, step, longest_gap)
    return False


def _is_outlier(times: Sequence[int | None], i: int, offset: int, last: int) -> bool:
    """A time far ahead of its two followers, which both fit after the last one, is the one that is wrong."""
    here = times[i]
    following = times[i + 1 : i + 3]
    assert here is not None
    return len(following) == 2 and all(time is not None and last < time + offset < here + offset for time in following)


def _next_usable(times: Sequence[int | None], i: int, offset: int, last: int) -> tuple[int, int] | None:
    """The next frame whose time leaves room for those before it, with that time."""
    for k in range(i + 1, min(i + 1 + _LOOK_AHEAD, len(times))):
        time = times[k]
        if time is not None and time + offset > last + (k - i):
            return k, time + offset
    return None


def missing_frames(pts: Sequence[int], step: Fraction) -> tuple[int, int]:
    """How many gaps an otherwise constant rate has, and about how many frames fell in; (0, 0) for variable rate."""
    if len(pts) < 4:
        return 0, 0
    intervals = np.diff(np.asarray(pts, np.int64)).astype(np.float64)
    nominal = float(step)
    regular = np.abs(intervals - nominal) <= max(1.0, 0.1 * nominal)
    gaps = intervals[intervals > 1.6 * nominal]
    # In short clips a single gap already is a large part of the intervals.
    if regular.mean() < (0.9 if len(pts) > 30 else 0.6) or not len(gaps):
        return 0, 0
    return len(gaps), int(np.sum(np.rint(gaps / nominal) - 1))


def last_duration(pts: Sequence[int], decoded: int | None, step: Fraction) -> int:
    """How long the last frame is shown: as its packet says, else the usual distance of two frames."""
    if decoded and decoded > 0:
        return decoded
    if len(pts) > 1:
        return max(1, int(np.median(np.diff(np.asarray(pts[-100:], np.int64)))))
    return max(1, round(step))
