"""Workers in threads of the test, with a network and an encoder of a few lines, that can be made to fail and to die."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from limpid.cluster.crew import WorkerLostError
from limpid.cluster.orders import FilmOrder, UnitOrder, WorkerCard
from limpid.cluster.spool import Spool
from limpid.cluster.workshop import Workshop
from limpid.cuts.base import Cuts
from limpid.plan.device import Machine
from limpid.plan.memory import Budget
from limpid.restoration.chunk import Chunk
from limpid.restoration.times import Times
from limpid.run.events import Teller
from limpid.run.executor import RunJob
from limpid.run.journal import Journal

MACHINE = Machine(device="cpu", dtype="float32", threads=1, model="a processor")


@dataclass
class SumOfNeighbours:
    """Each frame becomes its number plus the sum of what a halo of 2 shows of its shot: wrong halos are seen."""

    before: Callable[[Chunk], None] = lambda chunk: None
    tint: float = 0.0
    """Added to each frame: what another kind of machine does."""
    times: Times = field(default_factory=Times)
    warnings: tuple[str, ...] = ()

    def __call__(self, chunk: Chunk) -> Tensor:
        self.before(chunk)
        assert not isinstance(chunk.frames, Tensor)
        segment, values = chunk.segment, {f.index: float(f.pixels[0, 0, 0]) for f in chunk.frames}
        out = []
        for i in range(segment.core.start, segment.core.stop):
            near = [j for j in range(i - 2, i + 3) if segment.shot_start <= j < segment.shot_stop]
            out.append(values[i] + sum(values[j] for j in near) + self.tint)
        chunk.carry_out["sum"] = chunk.carry_in.get("sum", torch.zeros(1)) + sum(out)
        carried = float(chunk.carry_in["sum"]) if "sum" in chunk.carry_in else 0.0
        return (torch.tensor(out) + carried)[:, None, None, None].expand(-1, 3, 2, 3)


@contextmanager
def text_writer(path: Path, first_frame: int) -> Iterator[Any]:
    """Frames as lines of text."""
    lines: list[str] = []

    def write(frames: Tensor, pts: Sequence[int]) -> None:
        lines.extend(f"{p} {float(f[0, 0, 0])}\n" for f, p in zip(frames, pts, strict=True))

    yield SimpleNamespace(write=write)
    path.write_text("".join(lines))


class FakeShop(Workshop):
    """A workshop whose film needs no weights."""

    def __init__(self, folder: Path, crew: ThreadCrew, name: str) -> None:
        self.crew, self.name = crew, name
        super().__init__(folder)

    def describe(self, settings: Any, threads: int | None) -> WorkerCard:
        self._machine = MACHINE
        card = WorkerCard(
            machine=MACHINE.to_dict(),
            versions={"limpid": "1"},
            weights="w",
            budget=Budget(device=1 << 30, free=1 << 31),
            free_bytes=1 << 31,
            node="here",
            pid=1,
        )
        return self.crew.change_card(self.name, card)

    def open(self, film: FilmOrder) -> None:
        self._film = _FakeFilm(film, self.crew, self.name)  # type: ignore[assignment]


@dataclass
class _FakeFilm:
    order: FilmOrder
    crew: ThreadCrew
    name: str

    def __post_init__(self) -> None:
        self.machine = MACHINE
        self.method = SimpleNamespace(cuts=self.crew.cuts)
        self.restorer = SumOfNeighbours(
            before=lambda chunk: self.crew.before(self.name, chunk), tint=self.crew.tint(self.name)
        )

    def job(self, unit: UnitOrder, spool: Spool, ledger: Journal, teller: Teller) -> RunJob:
        return RunJob(
            journal=ledger,
            read=spool.read,
            stop_reading=spool.close,
            group_frames=3,
            compute=self.restorer,
            open_writer=text_writer,
            suffix=".txt",
            pts=self.order.pts,
            rungs=self.crew.cuts.ladder(self.order.plan.rung, 256, 100),
            teller=teller,
            cuts=self.crew.cuts,
            carries=self.crew.carries,
            times=self.restorer.times,
        )


@dataclass(eq=False)
class ThreadCall:
    future: Future[Any]
    lost: threading.Event
    """Set when the worker died before it had answered."""

    def result(self) -> Any:
        if self.lost.is_set():
            raise WorkerLostError("it was killed", by_itself=True)
        return self.future.result()


@dataclass
class _Hand:
    shop: Workshop
    lanes: dict[str, ThreadPoolExecutor]
    dead: bool = False
    owed: list[ThreadCall] = field(default_factory=list)

    def die(self) -> None:
        self.dead = True
        for call in self.owed:
            if not call.future.done():
                call.lost.set()
        self.shop.close()


@dataclass
class ThreadCrew:
    """Threads by name: what `limpid.cluster.crew.Crew` promises."""

    folder: Path
    cuts: Cuts
    count: int = 2
    carries: bool = False
    before: Callable[[str, Chunk], None] = lambda name, chunk: None
    """Called with the name of the worker before each chunk; what it raises the worker raises."""
    tint: Callable[[str], float] = lambda name: 0.0
    """What a worker of that name adds to each frame."""
    change_card: Callable[[str, WorkerCard], WorkerCard] = lambda name, card: card
    shuffled: random.Random | None = None
    """Answers are heard in an order of its own, and not always all of them."""
    hands: dict[str, _Hand] = field(default_factory=dict)
    hired: int = 0

    def wanted(self) -> int:
        return self.count

    def hire(self) -> str:
        self.hired += 1
        name = f"worker {self.hired}"
        folder = self.folder / name
        folder.mkdir(parents=True)
        lanes = {lane: ThreadPoolExecutor(1) for lane in ("all", "collect")}
        self.hands[name] = _Hand(self.shop(folder, name), lanes)
        return name

    def shop(self, folder: Path, name: str) -> Workshop:
        return FakeShop(folder, self, name)

    def call(self, name: str, method: str, *arguments: Any) -> ThreadCall:
        hand = self.hands.get(name)
        if hand is None:
            raise WorkerLostError("it is gone", by_itself=False)
        if hand.dead:
            call = ThreadCall(Future(), threading.Event())
            call.lost.set()
            return call
        lane = hand.lanes["collect" if method == "collect" else "all"]
        call = ThreadCall(lane.submit(getattr(hand.shop, method), *arguments), threading.Event())
        hand.owed = [owed for owed in hand.owed if not owed.future.done()] + [call]
        return call

    def ready(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        if not calls:
            time.sleep(0.01)
            return []
        wait([call.future for call in calls if not call.lost.is_set()], min(seconds, 0.05), FIRST_COMPLETED)
        ready = [call for call in calls if call.lost.is_set() or call.future.done()]
        if self.shuffled is not None:
            return self.shuffled.sample(ready, self.shuffled.randint(min(len(ready), 1), len(ready)))
        return ready

    def kill(self, name: str) -> None:
        """The process dies once the head has what was finished: whatever it still owes is lost."""
        hand = self.hands[name]
        box = hand.shop._outbox
        with box._changed:
            assert box._changed.wait_for(lambda: not box._waiting, 20)
        hand.die()

    def dismiss(self, name: str) -> None:
        hand = self.hands.pop(name, None)
        if hand is not None:
            hand.die()
            for lane in hand.lanes.values():
                lane.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        for name in list(self.hands):
            self.dismiss(name)


class RealShops(ThreadCrew):
    """Threads that do what workers of Ray do, with real networks and encoders."""

    def shop(self, folder: Path, name: str) -> Workshop:
        return _ChangedShop(folder, self, name)


class _ChangedShop(Workshop):
    def __init__(self, folder: Path, crew: ThreadCrew, name: str) -> None:
        self.crew, self.name = crew, name
        super().__init__(folder)

    def describe(self, settings: Any, threads: int | None) -> WorkerCard:
        return self.crew.change_card(self.name, super().describe(settings, threads))
