"""Events on their way to listeners: the newest are in memory, older ones in the database, and nobody waits for anybody.

A listener has a position, not a queue: a slow one costs no memory and loses nothing. Progress is not numbered; a
listener gets the newest of each job, as often as it can take it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from limpid.serve.database import NumberedEvent

KEPT_IN_MEMORY = 1000


class Hub:
    """What listeners read from: `newest` is the number of the last event, `changed` lets them wait."""

    def __init__(self) -> None:
        self.newest = 0
        self.server = secrets.token_hex(8)
        self.ring: deque[NumberedEvent] = deque(maxlen=KEPT_IN_MEMORY)
        self.progress: dict[str, tuple[int, dict[str, Any]]] = {}
        self.ticks = 0
        """How often progress was told; each job remembers when it last was."""
        self.open_streams = 0
        self.closing = False
        self._waiting: set[asyncio.Event] = set()

    def publish(self, events: Sequence[NumberedEvent]) -> None:
        for event in events:
            self.ring.append(event)
            self.newest = event.seq
        self._wake()

    def tell_progress(self, job: str, progress: dict[str, Any]) -> None:
        self.ticks += 1
        self.progress[job] = (self.ticks, progress)
        self._wake()

    def with_progress(self, job: dict[str, Any]) -> dict[str, Any]:
        """A job for a client; changes and returns it."""
        job["progress"] = self.progress.get(job["id"], (0, None))[1]
        return job

    def forget_progress(self, job: str) -> None:
        self.progress.pop(job, None)

    def progress_since(self, tick: int, job: str | None) -> list[str]:
        """JSON texts of what was told after that tick, the newest of each job."""
        found = [(name, data) for name, (when, data) in self.progress.items() if when > tick and job in (None, name)]
        return [json.dumps({"id": name, "progress": data}, separators=(",", ":")) for name, data in found]

    def in_memory(self, seq: int) -> list[NumberedEvent] | None:
        """Events after that number, in order; None when some of them are only in the database."""
        if self.ring and self.ring[0].seq > seq + 1:
            return None
        if not self.ring and seq < self.newest:
            return None
        return [event for event in self.ring if event.seq > seq]

    def close(self) -> None:
        """Let all listeners go."""
        self.closing = True
        self._wake()

    @contextlib.contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever something was told; counts as an open stream."""
        changed = asyncio.Event()
        self._waiting.add(changed)
        self.open_streams += 1
        try:
            yield changed
        finally:
            self._waiting.discard(changed)
            self.open_streams -= 1

    def _wake(self) -> None:
        for each in self._waiting:
            each.set()
