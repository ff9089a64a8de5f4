"""From units to orders: which frames a unit reads, how its chunks are cut, what the segment before handed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from limpid.cluster.orders import Lower, UnitOrder
from limpid.cluster.placement import Line, Unit
from limpid.cluster.receive import read_carry
from limpid.cuts.base import Cuts
from limpid.plan.segments import Rung
from limpid.restoration.chunks import Ladder
from limpid.run.events import Teller
from limpid.run.executor import read_windows, tell_lower
from limpid.run.feed import needed_windows
from limpid.run.journal import Journal
from limpid.types import Segment, Window


@dataclass(kw_only=True)
class UnitMaker:
    """Makes orders of units, by the journal."""

    journal: Journal
    lines: Sequence[Line]
    cuts: Cuts
    rungs: Sequence[Rung]
    """What there is to step down to."""
    free_cuts: bool
    """Whether chunks may lie anywhere: then none is computed twice where units meet."""
    teller: Teller
    _rungs: dict[str, Rung] = field(default_factory=dict)
    """Workers that had to step down."""

    def order(self, number: int, unit: Unit, worker: str) -> UnitOrder:
        if worker in self._rungs:
            self._journal_rung(unit, unit.segments[0].core.start, self._rungs[worker])
        line = self.lines[unit.line]
        first = unit.segments[0]
        carry = (
            read_carry(self.journal, first.index - 1)
            if line.in_order and first.core.start != first.shot_start
            else None
        )
        return UnitOrder(
            number=number,
            segments=unit.segments,
            around=self._around(unit),
            lowered=tuple(self.journal.lowered),
            carry=carry,
        )

    def _around(self, unit: Unit) -> tuple[Segment | None, Segment | None]:
        whole, first, last = self.lines[unit.line].segments, unit.segments[0], unit.segments[-1]
        if self.free_cuts or len(self.cuts.stretches(whole[:2])) > 1:
            return None, None
        start, stop = whole[0].core.start, whole[-1].core.stop
        before = _stand_in(first, first.index - 1, start, first.core.start)
        return before, _stand_in(last, last.index + 1, last.core.stop, stop)

    def windows(self, unit: Unit) -> list[Window]:
        """The frames that the worker's feed will ask for."""
        before, after = self._around(unit)
        pieces = [piece for piece in (before, *unit.segments, after) if piece is not None]
        rungs, halo, left = (self.journal.plan.rung, *self.rungs), self.journal.plan.halo_frames, unit.segments
        found: list[Window] = []
        for stretch in self.cuts.stretches(pieces):
            mine = [segment for segment in stretch.segments if segment in left]
            found += read_windows(stretch, mine, rungs, halo) if mine else []
        return needed_windows(found)

    def lower(self, unit: Unit, worker: str, report: Lower) -> None:
        """Write down that a worker steps down, before it tries again; others go on as they were."""
        self._rungs[worker] = report.rung
        self._journal_rung(unit, report.frame, report.rung)
        tell_lower(self.teller, report.rung, self.cuts)

    def _journal_rung(self, unit: Unit, frame: int, rung: Rung) -> None:
        """For the frames of a unit from this one on, unless they are cut so finely already."""
        ladder = Ladder(first=self.journal.plan.rung, taken=self.journal.lowered)
        after, steps = unit.segments[-1].core.stop, [self.journal.plan.rung, *self.rungs]
        before, at_end = ladder.at(frame), ladder.at(after)
        if before in steps and rung in steps and steps.index(before) >= steps.index(rung):
            return
        self.journal.add_rung(rung, frame)
        if after < self.journal.plan.frames.stop and not any(start == after for start, _ in self.journal.lowered):
            self.journal.add_rung(at_end, after)


def _stand_in(near: Segment, index: int, start: int, stop: int) -> Segment | None:
    """A segment for all that lies on one side of a unit."""
    if start >= stop:
        return None
    core = Window(start=start, stop=stop)
    return replace(near, index=index, core=core, halo=core)
