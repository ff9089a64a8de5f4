"""What a worker does, whoever carries its messages: it takes units of frames and gives back encoded segments.

It runs the very function that a run without workers runs, `limpid.run.executor.run_segments`, over a part of the plan:
frames come from a spool instead of a decoder, and what is finished goes into an outbox instead of a journal.
"""

from __future__ import annotations

import platform
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import getpid
from pathlib import Path

from limpid.cluster.orders import Ended, FilmOrder, Lower, Trouble, UnitOrder, UnitReport, Update, WorkerCard
from limpid.cluster.outbox import Outbox, OutboxClosedError
from limpid.cluster.spool import Spool
from limpid.durable.files import fsync_path
from limpid.method import Method
from limpid.methods import find_method
from limpid.plan.device import Machine, choose_machine, computing, versions
from limpid.plan.memory import free_bytes
from limpid.plan.segments import Rung
from limpid.restoration.restorer import Restorer
from limpid.restoration.times import Times
from limpid.run.events import Teller
from limpid.run.executor import RunJob, run_segments
from limpid.run.journal import Finished, Journal, carry_name
from limpid.run.sink import explain_full_disk
from limpid.settings import Settings
from limpid.types import OutputError, Segment, VideoFrame
from limpid.video import SegmentWriter


class _LowerNeededError(Exception):
    """Memory ran out; the head must know before a smaller try."""

    def __init__(self, frame: int, rung: Rung) -> None:
        self.frame, self.rung = frame, rung
        super().__init__(f"memory ran out at frame {frame}")


@dataclass
class _Ledger(Journal):
    """The journal of a unit: what is finished goes to the head, and what must be written down first is asked of it."""

    outbox: Outbox = field(default_factory=Outbox)

    def add_segment(self, index: int, path: Path, frames: int, carry: Path | None = None) -> Finished:
        done = Finished.of(index, path, frames, carry)
        self.outbox.put(self.folder, done)
        self.finished[index] = done
        return done

    def add_rung(self, rung: Rung, frame: int) -> None:
        raise _LowerNeededError(frame, rung)


@dataclass
class _Film:
    """One film as a worker sees it; the network is loaded with the first chunk and stays."""

    order: FilmOrder
    machine: Machine

    @cached_property
    def method(self) -> Method:
        return find_method(self.order.settings.method, self.order.settings)

    @cached_property
    def restorer(self) -> Restorer:
        order = self.order
        return Restorer(
            method=self.method,
            settings=order.settings,
            machine=self.machine,
            width=order.size[0],
            height=order.size[1],
            offload=order.offload,
            alpha=order.alpha,
            depth=order.depth,
        )

    def job(self, unit: UnitOrder, spool: Spool, ledger: Journal, teller: Teller) -> RunJob:
        order, method = self.order, self.method
        return RunJob(
            journal=ledger,
            read=spool.read,
            stop_reading=spool.close,
            group_frames=order.group_frames,
            compute=self.restorer,
            open_writer=lambda path, first: SegmentWriter(path, order.spec, first_frame=first),
            suffix=order.suffix,
            pts=order.pts,
            rungs=tuple(method.cuts.ladder(order.plan.rung, *order.clip_size)),
            teller=teller,
            cuts=method.cuts,
            carries=method.carries,
            device=self.machine.torch_device,
            times=self.restorer.times,
        )


@dataclass
class _Unit:
    order: UnitOrder
    folder: Path
    spool: Spool | None = None
    """None where its folder could not be made."""
    frames: int = 0
    """Made so far."""
    error: BaseException | None = None
    """Why its frames stopped coming."""

    def prepare(self) -> None:
        """Make room for its frames, and keep what the segment before handed on. Raises OSError."""
        self.folder.mkdir(mode=0o700)
        if self.order.carry is not None:
            path = self.folder / carry_name(self.order.segments[0].index - 1)
            path.write_bytes(self.order.carry)
            fsync_path(path)
        self.spool = Spool(self.folder / "frames")

    def close(self) -> None:
        if self.spool is not None:
            self.spool.close()

    def on_event(self, event: dict[str, object]) -> None:
        if event["event"] == "progress":
            stand_ins = sum(len(piece.core) for piece in self.order.around if piece is not None)
            self.frames = int(event["done"]) - stand_ins  # type: ignore[call-overload]


class Workshop:
    """One worker. Its methods return at once, but for `collect`; what is ordered is done by a thread of its own."""

    def __init__(self, folder: Path, *, device: str | None = None) -> None:
        """``folder``: of its own, for frames that wait and segments that are finished. ``device``: instead of what the
        settings say."""
        self._folder, self._device = folder, device
        self._film: _Film | None = None
        self._machine: Machine | None = None
        self._units: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._open: dict[int, _Unit] = {}
        self._now: _Unit | None = None
        self._began = 0.0
        self._outbox = Outbox()
        self._times = Times()
        threading.Thread(target=self._work, name="limpid-work", daemon=True).start()

    def describe(self, settings: Settings, threads: int | None) -> WorkerCard:
        """What this worker is. Raises a `LimpidError` where it cannot compute what the settings say."""
        method = find_method(settings.method, settings)
        self._machine = choose_machine(
            self._device or settings.device,
            settings.dtype,
            threads,
            runtime=settings.runtime,
            runtimes=method.runtimes,
            attention_kernel=settings.attention_kernel,
        )
        return WorkerCard(
            machine=self._machine.to_dict(),
            versions=versions(self._machine.runtime),
            weights=method.weights.digest(),
            budget=self._machine.budget(most=method.cuts.most_memory_bytes),
            free_bytes=free_bytes(),
            node=platform.node(),
            pid=getpid(),
        )

    def open(self, film: FilmOrder) -> None:
        assert self._machine is not None, "a worker is asked what it is before it gets work"
        self._film = _Film(order=film, machine=self._machine)

    def begin(self, order: UnitOrder) -> None:
        """Expect the frames of a unit. Units are made in the order in which they begin."""
        unit = _Unit(order=order, folder=self._folder / f"{order.number:06d}")
        try:
            unit.prepare()
        except OSError as error:
            unit.error = error
        self._open[order.number] = unit
        self._units.put(unit)

    def give(self, number: int, frames: Sequence[VideoFrame]) -> None:
        """The next frames of a unit; those of one that is over are dropped."""
        unit = self._open.get(number)
        if unit is None or unit.spool is None:
            return
        try:
            unit.spool.add(frames)
        except OSError as error:
            unit.error = error
            unit.close()

    def collect(self, wait_s: float) -> Update:
        """What there is to say; waits until a segment or a report is there, but not longer than ``wait_s``."""
        self._outbox.wait(wait_s)
        parts, report = self._outbox.take()
        unit = self._now
        return Update(
            parts=tuple(parts),
            report=report,
            unit=unit.order.number if unit else None,
            frames=unit.frames if unit else 0,
            times=(seconds := self._seconds()),
            busy_s=self._busy_s(seconds),
            warnings=self._film.restorer.warnings if self._film else (),
        )

    def close(self) -> None:
        """Stop at the next chance; nothing is handed over any more."""
        self._outbox.close()
        for unit in list(self._open.values()):
            unit.close()
        self._units.put(None)

    # ------------------------------------------------------------------------------------------ the thread that works

    def _work(self) -> None:
        while (unit := self._units.get()) is not None:
            self._now, self._began = unit, time.perf_counter()
            with self._times.measure("work"):
                report = self._done(unit)
            unit.close()
            self._open.pop(unit.order.number, None)
            self._now = None
            self._tell(unit, report)

    def _done(self, unit: _Unit) -> UnitReport:
        number = unit.order.number
        try:
            self._make(unit)
        except _LowerNeededError as lower:
            return Lower(unit=number, frame=lower.frame, rung=lower.rung)
        except BaseException as error:  # noqa: BLE001  (the head decides what becomes of it)
            return _trouble(unit, unit.error or error)
        return Ended(unit=number)

    def _make(self, unit: _Unit) -> None:
        film, order = self._film, unit.order
        assert film is not None
        if unit.spool is None:
            raise unit.error or OSError("there is no room for frames")
        plan = replace(film.order.plan, segments=order.pieces)
        stand_ins = {piece.index: _stand_in(piece) for piece in order.around if piece is not None}
        ledger = _Ledger(
            folder=unit.folder,
            facts={},
            plan=plan,
            estimate={},
            finished=stand_ins,
            lowered=list(order.lowered),
            outbox=self._outbox,
        )
        job = film.job(order, unit.spool, ledger, Teller(unit.on_event))
        try:
            with computing(film.machine, keep_memory=film.method.cuts.reuses_freed_memory):
                run_segments(job)
        finally:
            for name, seconds in job.times.seconds.items():
                self._times.add(name, seconds)
            job.times.clear()

    def _tell(self, unit: _Unit, report: UnitReport) -> None:
        try:
            self._outbox.put(unit.folder, report)
        except OutboxClosedError:
            return

    def _seconds(self) -> dict[str, float]:
        """Seconds of units that are over, and of the one in work."""
        film, seconds = self._film, dict(self._times.seconds)
        for name, value in dict(film.restorer.times.seconds).items() if film else ():
            seconds[name] = seconds.get(name, 0.0) + value
        return seconds

    def _busy_s(self, seconds: Mapping[str, float]) -> float:
        """What units took, the one in work included, without what it waited for frames."""
        now = time.perf_counter() - self._began if self._now is not None else 0.0
        return max(seconds.get("work", 0.0) + now - seconds.get("wait_for_frames", 0.0), 0.0)


def _trouble(unit: _Unit, error: BaseException) -> Trouble:
    known = explain_full_disk(error, unit.folder)
    if isinstance(known, OutputError):  # this machine's, not that of the work folder
        known = OutputError(
            f"no space left for frames and segments on their way, in {unit.folder.parent}: free some there, or set "
            "TMPDIR there to a folder on another disk; finished segments are kept, and the same command goes on"
        )
    return Trouble(unit=unit.order.number, kind=type(known).__name__, message=str(known))


def _stand_in(piece: Segment) -> Finished:
    """Says of what lies around a unit that it needs not be made."""
    return Finished(index=piece.index, file="", frames=len(piece.core), size=0, sha256="")
