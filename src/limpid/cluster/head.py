"""The head of a run: hands out units, sends their frames, commits what comes back, and counts who fails at what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from limpid.cluster.ahead import Ahead, Delivery
from limpid.cluster.crew import WorkerLostError
from limpid.cluster.cutting import UnitMaker
from limpid.cluster.mixed import MixedShots
from limpid.cluster.orders import FilmOrder, Lower, Trouble, Update
from limpid.cluster.placement import MOST_FAILURES, Board, Unit
from limpid.cluster.receive import Receiver, WrongPartError
from limpid.cluster.record import WorkLog
from limpid.cluster.roster import CrewMember, Roster
from limpid.durable.interrupt import Interrupts
from limpid.restoration.times import Times
from limpid.run.events import Meter, Teller
from limpid.run.executor import tell_segment
from limpid.types import LimpidError, ResourceError, VideoFrame

POLL_S = 0.2
COLLECT_S = 1.0
"""A worker that has nothing to say says so after this time."""


_OF_WORKERS = frozenset({"network", "compute", "encode", "wait_for_frames", "wait_for_encoder"})


class WorkFailedError(ResourceError):
    """A segment failed again and again."""


@dataclass(kw_only=True)
class RunHead:
    """Drives a run until every segment of the plan is durable; see `run`."""

    roster: Roster
    board: Board
    maker: UnitMaker
    receiver: Receiver
    ahead: Ahead
    film: FilmOrder
    teller: Teller
    meter: Meter
    interrupts: Interrupts
    times: Times
    mixed: MixedShots | None = None
    """Keeps shots to one kind of machine each, where workers may be unlike."""
    log: WorkLog = field(default_factory=WorkLog)
    """What each worker did."""
    _units: dict[str, list[tuple[int, Unit]]] = field(default_factory=dict)
    """What each worker was ordered, with the number of the order."""
    _numbers: count[int] = field(default_factory=count)
    _committed: int = 0
    _makers: dict[int, str] = field(default_factory=dict)
    """Who sent parts of a segment last."""
    _spent: dict[str, Mapping[str, float]] = field(default_factory=dict)
    """Seconds of each worker, as it said last; of those that are gone too."""

    def run(self) -> None:
        """Returns when all is durable. Raises `WorkFailedError`, KeyboardInterrupt, or what decoding ran into."""
        self.meter.start()
        while not self.board.is_done:
            self.interrupts.check()
            self.ahead.check()
            self.roster.fill()
            self.roster.check_deserted()
            self.times.side_by_side = max(self.times.side_by_side, len(self.roster.present))
            if self.mixed is not None:
                self.mixed.look(self.roster.present)
            for member in self.roster.present:
                self._employ(member)
            self._listen()
            self.log.tell(self.teller)
        self.log.end(self.teller)
        self._add_times()

    def _add_times(self) -> None:
        """What workers computed belongs to the run; what they read and waited for was sent by this process."""
        for spent in self._spent.values():
            for name in _OF_WORKERS & spent.keys():
                self.times.add(name, spent[name])
        self.times.add("idle", self.log.idle_s())

    def _listen(self) -> None:
        owing = {id(m.call): m for m in self.roster.members.values() if m.card is None or self._units.get(m.name)}
        ready = self.roster.crew.ready([member.call for member in owing.values()], POLL_S)
        heard = [(member, self._fetched(member)) for member in (owing[id(call)] for call in ready) if member.card]
        self._commit()
        for member, outcome in heard:
            self._heard(member, outcome)
        self._tell_progress()
        for call in ready:
            if owing[id(call)].card is None:
                self.roster.heard(owing[id(call)])

    # ------------------------------------------------------------------------------------------------- giving work

    def _employ(self, member: CrewMember) -> None:
        if not member.opened:
            self.roster.crew.call(member.name, "open", self.film)
            member.opened = True
            if self.mixed is not None:
                self.mixed.welcome(member)
            self.log.opened(member.name, member.card.node if member.card else member.name)
        workers = len(self.roster.present)
        while self.board.wants(member.name, workers, half_made=self._is_half_made(member)):
            unit = self._next_unit(member, workers)
            if unit is None:
                return
            self._order(member, unit)

    def _is_half_made(self, member: CrewMember) -> bool:
        """Whether a worker says that it has made half of the first unit that it was ordered."""
        number, unit = next(iter(self._units.get(member.name, ())), (None, None))
        made = member.said.frames if member.said.unit == number else 0
        return unit is not None and 2 * made >= sum(len(segment.core) for segment in unit.segments)

    def _next_unit(self, member: CrewMember, workers: int) -> Unit | None:
        if self.mixed is None:
            return self.board.take(member.name, workers)
        unit = self.board.take(member.name, workers, member.kind)
        if unit is None and not self.board.units(member.name):
            self._committed -= self.mixed.take_over(member.kind)
            unit = self.board.take(member.name, workers, member.kind)
        return unit

    def _order(self, member: CrewMember, unit: Unit) -> None:
        number, crew = next(self._numbers), self.roster.crew
        order = self.maker.order(number, unit, member.name)
        crew.call(member.name, "begin", order)
        units = self._units.setdefault(member.name, [])
        if not units:
            member.call = crew.call(member.name, "collect", COLLECT_S)
        units.append((number, unit))
        self.log.at_work(member.name, at_work=True)
        self.ahead.deliver(
            Delivery(
                windows=self.maker.windows(unit),
                send=partial(_send, self.roster, member.name, number),
                wanted=lambda: any(known == number for known, _ in self._units.get(member.name, ())),
            )
        )

    # --------------------------------------------------------------------------------------------- hearing of work

    def _fetched(self, member: CrewMember) -> Update | WorkerLostError | WrongPartError:
        """What a worker says; the parts that it sends are kept, and whole segments wait to be committed together."""
        try:
            update: Update = member.call.result()
            kind = self.mixed.in_journal(member) if self.mixed is not None else None
            with self.times.measure("commit"):
                for part in update.parts:
                    self._makers[part.index] = member.name
                    self.receiver.take(part, kind)
        except (WorkerLostError, WrongPartError) as error:
            return error
        return update

    def _commit(self) -> None:
        with self.times.measure("commit"):
            committed = self.receiver.commit()
        for done in committed:
            self.board.done(done.index)
            self._committed += done.frames
            self.log.records[self._makers.pop(done.index)].frames += done.frames
            tell_segment(self.teller, self.receiver.journal.plan, done)

    def _heard(self, member: CrewMember, outcome: Update | WorkerLostError | WrongPartError) -> None:
        if not isinstance(outcome, Update):
            self._lost(member, str(outcome), counts=getattr(outcome, "by_itself", True))
            return
        self._take(member, outcome)
        self.log.at_work(member.name, at_work=bool(self._units.get(member.name)))
        if self._units.get(member.name):
            member.call = self.roster.crew.call(member.name, "collect", COLLECT_S)

    def _take(self, member: CrewMember, update: Update) -> None:
        member.said = update
        self._spent[member.name] = update.times
        self.log.said(member.name, update)
        for sentence in update.warnings:
            self.teller.warn(sentence)
        if update.report is not None and self._units[member.name][0][0] == update.report.unit:
            _, unit = self._units[member.name].pop(0)
            left = self.board.units(member.name)[0].segments
            self.board.ended(member.name)
            for segment in left:
                self.receiver.forget(segment.index)
            if isinstance(update.report, Lower):
                self.maker.lower(unit, member.name, update.report)
            elif isinstance(update.report, Trouble) and left:
                self._failed(member, left[0].index, update.report)

    def _tell_progress(self) -> None:
        """Durable frames, and those that workers have made of segments that are not whole yet."""
        open_frames = 0
        for name, units in self._units.items():
            said = self.roster.members[name].said
            mine = 0
            for (number, unit), rest in zip(units, self.board.units(name), strict=True):
                done = sum(len(s.core) for s in unit.segments) - sum(len(s.core) for s in rest.segments)
                mine += max(said.frames - done, 0) if said.unit == number else 0
            self.log.records[name].open_frames = mine
            open_frames += mine
        self.meter.update(max(self._committed + open_frames, self.meter.done))

    def _failed(self, member: CrewMember, index: int, trouble: Trouble) -> None:
        """An error of the worker: it may be broken by it, so another one takes its place."""
        node = member.card.node if member.card else member.name
        self._part_with(member)
        if trouble.of_the_disk:
            self.roster.refuse(member, f"{node} makes nothing more: {trouble.message}", trouble.error())
            return
        if trouble.hopeless or self.board.failed(index) >= MOST_FAILURES:
            raise trouble.error()
        self.teller.warn(f"segment {index} failed on {node} and is made again: {trouble.message}")

    def _lost(self, member: CrewMember, reason: str, *, counts: bool) -> None:
        units = self.board.units(member.name)
        first = next((unit.segments[0].index for unit in units if unit.segments), None)
        node = member.card.node if member.card else member.name
        self._part_with(member)
        if counts and first is not None and self.board.failed(first) >= MOST_FAILURES:
            raise WorkFailedError(
                f"{MOST_FAILURES} workers died while they made segment {first}, the last one on {node} ({reason}): it "
                "may be more than their memory holds; finished segments are kept, and the same command goes on"
            )
        self.teller.warn(f"a worker on {node} is gone ({reason}); what it was at is made again")

    def _part_with(self, member: CrewMember) -> None:
        for unit in self.board.units(member.name):
            for segment in unit.segments:
                self.receiver.forget(segment.index)
        self.board.lost(member.name)
        self._units.pop(member.name, None)
        self.log.gone(member.name)
        self.roster.remove(member.name)


def _send(roster: Roster, name: str, number: int, frames: Sequence[VideoFrame]) -> Callable[[], bool]:
    """Frames of a unit on their way to a worker, which may be gone since they were read."""
    try:
        return partial(_arrived, roster, roster.crew.call(name, "give", number, frames))
    except WorkerLostError:
        return lambda: True


def _arrived(roster: Roster, call: object) -> bool:
    """Whether frames have arrived; those for a worker that is gone never will, and are not waited for."""
    ready = roster.crew.ready([call], 0.05)  # type: ignore[list-item]
    if not ready:
        return False
    try:
        ready[0].result()
    except (WorkerLostError, LimpidError):
        return True
    return True
