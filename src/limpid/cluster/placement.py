"""What may run side by side, who gets what next, and what happens to the work of those who fail: plain data and rules.

Segments of local methods are independent, given the frames around them. Methods that hand something on from segment to
segment have lines: the segments of a shot, one after the other, on one worker. Nothing here knows Ray.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from limpid.cuts.base import Cuts
from limpid.plan.segments import Plan, Stretch
from limpid.types import Segment

MOST_FAILURES = 3
"""A segment that fails so many times stops the run."""
MOST_SEGMENTS = 8
"""Length of a unit: what a worker that dies may take with it is sent again."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Segments that follow each other in one shot."""

    segments: tuple[Segment, ...]
    in_order: bool
    """Whether each needs what the one before hands on."""
    joints: frozenset[int] = frozenset()
    """Numbers of segments in front of which two units meet without computing a chunk twice."""


def lines_of(plan: Plan, cuts: Cuts, *, carries: bool, free_cuts: bool = False) -> tuple[Line, ...]:
    """The segments of a plan, by shots where they depend on each other, else by the stretches that share chunks.

    ``free_cuts``: chunks may lie anywhere; otherwise one that lies in two units is computed by both.
    """
    if carries:
        shots = groupby(plan.segments, key=lambda segment: segment.shot)
        return tuple(Line(segments=tuple(group), in_order=True) for _, group in shots)
    return tuple(
        Line(segments=s.segments, in_order=False, joints=_joints(s, plan, cuts, free_cuts))
        for s in cuts.stretches(plan.segments)
    )


def _joints(stretch: Stretch, plan: Plan, cuts: Cuts, free_cuts: bool) -> frozenset[int]:
    """Segments that begin where a chunk does."""
    starts, position = {stretch.core.start}, stretch.core.start
    while not free_cuts and position < stretch.core.stop:
        position = cuts.chunk(stretch, position, plan.rung, plan.halo_frames).core.stop
        starts.add(position)
    return frozenset(s.index for s in stretch.segments if free_cuts or s.core.start in starts)


def side_by_side(lines: Sequence[Line], workers: int) -> tuple[int, str]:
    """How many workers can be busy at once, and why, in a sentence."""
    if any(line.in_order for line in lines):
        longest = max(len(line.segments) for line in lines) / sum(len(line.segments) for line in lines)
        most = min(len(lines), workers)
        why = f"segments of a shot go one after the other, because each hands frames on to the next; {len(lines)} "
        why += "shots" if len(lines) != 1 else "shot"
        share = f", the longest with {longest:.0%} of the segments" if len(lines) > 1 else ""
        return most, f"up to {most} of {workers} workers at once: {why}{share}"
    count = sum(len(line.segments) for line in lines)
    most = min(count, workers)
    return most, f"up to {most} of {workers} workers at once: the {count} segments do not depend on each other"


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Segments of one line that follow each other, for one worker."""

    line: int
    segments: tuple[Segment, ...]


@dataclass
class Board:
    """What is left to do, and who is at what."""

    lines: Sequence[Line]
    finished: set[int] = field(default_factory=set)
    """Numbers of segments that are durable."""
    most_segments: int = MOST_SEGMENTS
    least_frames: int = 1
    """Units that are shorter than this are not worth the frames around them that are computed for them."""
    _batch: tuple[int, int] = (0, 0)
    """How many more units are of one length, and that length: see `_fair`."""
    _out: dict[str, list[Unit]] = field(default_factory=dict)
    _owner: dict[int, str] = field(default_factory=dict)
    _kinds: dict[int, str] = field(default_factory=dict)
    """Shot -> kind of the machines that make it, where kinds are told apart."""
    _failures: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._left = [[s for s in line.segments if s.index not in self.finished] for line in self.lines]
        self.num_left = sum(map(len, self._left))
        """Segments that nobody is at."""
        self._lines_of: dict[int, list[int]] = {}
        """Shot -> numbers of its lines."""
        for number in range(len(self.lines)):
            self._lines_of.setdefault(self._shot(number), []).append(number)
        self._order = sorted(range(len(self.lines)), key=self._rank)
        self._first = 0
        """Before this place of the order nothing is left."""

    def _rank(self, number: int) -> tuple[int, int]:
        """In the order of the film, which is read best; of lines what takes longest comes first."""
        line = self.lines[number]
        return (-sum(len(s.core) for s in line.segments) if line.in_order else 0), number

    @property
    def is_done(self) -> bool:
        return self.num_left == 0 and not any(unit.segments for units in self._out.values() for unit in units)

    def units(self, worker: str) -> tuple[Unit, ...]:
        """What a worker is at, in order, without what is finished of it."""
        return tuple(self._out.get(worker, ()))

    def shot_kinds(self) -> dict[int, str]:
        """Shot -> kind of the machines that make it."""
        return dict(self._kinds)

    def set_kind(self, shot: int, kind: str) -> None:
        """A part of this shot was made on machines of that kind, which have the rest of it, too."""
        self._kinds[shot] = kind

    def shots_kept_from(self, kind: str) -> dict[int, str]:
        """Shots of which something is left that machines of this kind may not make -> the kind that may."""
        shots = (self._shot(number) for number in self._open_lines())
        return {shot: own for shot in shots if (own := self._kinds.get(shot, kind)) != kind}

    def begin_again(self, shot: int) -> list[int]:
        """Any kind of machine may make a shot, from its beginning: numbers of the segments that must be made again.

        Nobody may be at it.
        """
        self._kinds.pop(shot, None)
        again: list[int] = []
        for number in self._lines_of[shot]:
            made = tuple(s for s in self.lines[number].segments if s.index in self.finished)
            self._give_back(Unit(line=number, segments=made))
            again += [s.index for s in made]
        self.finished.difference_update(again)
        return again

    def wants(self, worker: str, workers: int, *, half_made: bool = True) -> bool:
        """Whether a worker should have one more unit: the next one is sent while one is made, until they become few.

        What depends on another segment is not sent ahead, and a line is not put off for another one: only who makes
        the end of a line is given the beginning of the next. ``half_made``: whether the worker says that of its unit;
        before, it is too early to know whether it is the one that should have the next.
        """
        units = self._out.get(worker, ())
        if len(units) != 1:
            return not units
        number = units[0].line
        if not self.lines[number].in_order:
            return half_made and self.num_left >= workers
        return not self._left[number] and sum(1 for _ in itertools.islice(self._open_lines(), workers)) == workers

    def take(self, worker: str, workers: int, kind: str = "") -> Unit | None:
        """The next unit for a worker; None while there is nothing for it to do.

        ``workers``: how many there are, so that the last units are small. ``kind``: of its machine; where kinds are
        told apart, a line is made by machines of one kind.
        """
        number = self._choose(worker, kind)
        if number is None:
            return None
        line, left = self.lines[number], self._left[number]
        least = math.ceil(self.least_frames / len(left[0].core))
        count = self.most_segments if line.in_order else max(self._fair(workers), least)
        run = _following(left, count if line.in_order else 2 * count)
        run = run if line.in_order else _up_to_joint(run, count, line.joints)
        del left[: len(run)]
        self.num_left -= len(run)
        unit = Unit(line=number, segments=tuple(run))
        self._out.setdefault(worker, []).append(unit)
        if kind:
            self.set_kind(self._shot(number), kind)
        if line.in_order:
            self._owner[number] = worker
        return unit

    def _shot(self, number: int) -> int:
        return self.lines[number].segments[0].shot

    def _fair(self, workers: int) -> int:
        """Large units at first, small ones at the end, so that all workers end at about the same time.

        Half of what is left is cut into a unit for each worker, then half of the rest (Flynn Hummel, Schonberg and
        Flynn 1992, "Factoring"): workers that are equally fast get the same and end together.
        """
        if workers <= 1:
            return self.most_segments
        left, length = self._batch
        if left == 0:
            left, length = workers, max(1, min(self.most_segments, math.ceil(self.num_left / (2 * workers))))
        self._batch = left - 1, length
        return length

    def _choose(self, worker: str, kind: str) -> int | None:
        mine = [n for n, owner in self._owner.items() if owner == worker and self._left[n] and not self._returns(n)]
        return mine[0] if mine else next((n for n in self._open_lines() if self._may(worker, n, kind)), None)

    def _open_lines(self) -> Iterable[int]:
        while self._first < len(self._order) and not self._left[self._order[self._first]]:
            self._first += 1
        return (n for n in itertools.islice(self._order, self._first, None) if self._left[n])

    def _returns(self, number: int) -> bool:
        """Whether something of a line may come back, because somebody is at it."""
        return any(unit.line == number for units in self._out.values() for unit in units)

    def _may(self, worker: str, number: int, kind: str) -> bool:
        if kind and self._kinds.get(self._shot(number), kind) != kind:
            return False
        free = self._owner.get(number, worker) == worker and not self._returns(number)
        return free or not self.lines[number].in_order

    def done(self, index: int) -> None:
        """A segment is durable."""
        self.finished.add(index)
        for units in self._out.values():
            for place, unit in enumerate(units):
                rest = tuple(s for s in unit.segments if s.index != index)
                if len(rest) != len(unit.segments):
                    units[place] = Unit(line=unit.line, segments=rest)

    def ended(self, worker: str) -> None:
        """A worker's first unit is over; what it left undone is to be done by anybody."""
        self._give_back(self._out[worker].pop(0))

    def lost(self, worker: str) -> None:
        """A worker is gone: all that it was at is to be done by others, and its lines belong to nobody."""
        for unit in self._out.pop(worker, []):
            self._give_back(unit)
        self._owner = {line: owner for line, owner in self._owner.items() if owner != worker}
        self._kinds = {shot: kind for shot, kind in self._kinds.items() if self._is_begun(shot)}

    def _is_begun(self, shot: int) -> bool:
        """Whether something of a shot is durable, or somebody is at it."""
        mine = self._lines_of[shot]
        return any(self._returns(n) or any(s.index in self.finished for s in self.lines[n].segments) for n in mine)

    def _give_back(self, unit: Unit) -> None:
        if unit.segments:
            left = self._left[unit.line]
            left.extend(unit.segments)
            left.sort(key=lambda segment: segment.index)
            self.num_left += len(unit.segments)
            self._first = 0

    def failed(self, index: int) -> int:
        """Count a failure at a segment; returns how many there were."""
        self._failures[index] = self._failures.get(index, 0) + 1
        return self._failures[index]


def _following(segments: Sequence[Segment], count: int) -> list[Segment]:
    """The first ``count`` segments, or fewer where one between them is not to be made."""
    run = [segments[0]]
    for segment in segments[1:count]:
        if segment.index != run[-1].index + 1:
            break
        run.append(segment)
    return run


def _up_to_joint(run: list[Segment], count: int, joints: frozenset[int]) -> list[Segment]:
    """About ``count`` segments: so many that no chunk lies in two units, where there is such a place near by."""
    ends = [
        n for n in range(1, len(run) + 1) if run[n - 1].core.stop == run[0].shot_stop or run[n - 1].index + 1 in joints
    ]
    before, after = [n for n in ends if n <= count], [n for n in ends if n > count]
    return run[: before[-1] if before else after[0] if after else count]
