"""What each worker did so far: frames, frames per second, and the share of its time in which it had nothing to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from limpid.cluster.orders import Update
from limpid.run.events import Teller

WORKERS_INTERVAL_S = 5.0


@dataclass
class WorkerRecord:
    """One worker, also after it is gone. Times are those of the head's clock."""

    name: str
    node: str
    since: float
    """When it got the film."""
    until: float | None = None
    """When it was gone."""
    frames: int = 0
    """Frames of its segments that are durable."""
    open_frames: int = 0
    """Frames that it has made of segments that are not."""
    busy_s: float = 0.0
    """Seconds in which it computed or encoded, as it said last."""
    said_at: float = 0.0
    at_work: bool = False

    def there_s(self, now: float) -> float:
        return (now if self.until is None else self.until) - self.since

    def idle_s(self, now: float) -> float:
        """Seconds without a unit, or without the frames of one."""
        since_said = now - self.said_at if self.at_work and self.until is None else 0.0
        return max(self.there_s(now) - self.busy_s - since_said, 0.0)

    def to_dict(self, now: float) -> dict[str, Any]:
        there, frames = self.there_s(now), self.frames + self.open_frames
        return {
            "name": self.name,
            "node": self.node,
            "there": self.until is None,
            "frames": frames,
            "fps": round(frames / there, 3) if there > 0 else None,
            "idle": round(self.idle_s(now) / there, 3) if there > 0 else None,
        }


@dataclass
class WorkLog:
    """Records of all workers of a run, and the event that tells them."""

    clock: Callable[[], float] = time.monotonic
    records: dict[str, WorkerRecord] = field(default_factory=dict)
    _told: float | None = None
    _ended: float | None = None

    def _now(self) -> float:
        return self.clock() if self._ended is None else self._ended

    def opened(self, name: str, node: str) -> None:
        self.records[name] = WorkerRecord(name=name, node=node, since=self.clock())

    def said(self, name: str, update: Update) -> None:
        record = self.records[name]
        record.busy_s, record.said_at = update.busy_s, self.clock()

    def at_work(self, name: str, *, at_work: bool) -> None:
        """Whether it has a unit; from now on its time counts as busy until it says how much of it was."""
        record = self.records[name]
        if at_work != record.at_work:
            record.at_work, record.said_at = at_work, self.clock()

    def gone(self, name: str) -> None:
        record = self.records.get(name)
        if record is not None and record.until is None:
            record.until, record.open_frames, record.at_work = self.clock(), 0, False

    def rows(self) -> tuple[dict[str, Any], ...]:
        now = self._now()
        return tuple(record.to_dict(now) for record in self.records.values())

    def idle_s(self) -> float:
        """Seconds in which workers had nothing to do, over all of them."""
        now = self._now()
        return sum(record.idle_s(now) for record in self.records.values())

    def tell(self, teller: Teller) -> None:
        """Tell of those that are there, not more often than is useful."""
        now = self._now()
        if self._told is None:
            self._told = now
        if now - self._told >= WORKERS_INTERVAL_S:
            self._told = now
            teller.tell("workers", workers=[row for row in self.rows() if row["there"]])

    def end(self, teller: Teller) -> None:
        """The work is over: tell of all, and count no longer."""
        self._ended = self._now()
        teller.tell("workers", workers=list(self.rows()))
