"""Finished segments of a worker on their way to the head: files are handed over piece by piece, then deleted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from limpid.cluster.orders import SentPart, UnitReport
from limpid.durable.files import discard
from limpid.run.journal import Finished

PART_BYTES = 8 << 20
"""Handed over at once, about."""
MOST_WAITING = 4
"""Segments that wait; a worker whose segments are not fetched stops computing."""


class OutboxClosedError(Exception):
    """Nobody fetches any more."""


class Outbox:
    """Filled by the threads that work, emptied by whoever asks for the head; a report comes after what it is about."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Path, Finished | UnitReport]] = deque()
        self._parts: Iterator[SentPart] = iter(())
        self._closed = False
        self._changed = threading.Condition()

    def put(self, folder: Path, item: Finished | UnitReport) -> None:
        """``folder``: where the files of a segment lie; with the report on a unit it is deleted.

        Waits while too much waits. Raises OutboxClosedError once it is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._waiting) < MOST_WAITING)
            if self._closed:
                raise OutboxClosedError
            self._waiting.append((folder, item))
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Until something waits, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting), seconds)

    def take(self) -> tuple[list[SentPart], UnitReport | None]:
        """The next parts, about `PART_BYTES` in all or what there is, up to the next report."""
        parts: list[SentPart] = []
        while sum(len(part.data) for part in parts) < PART_BYTES:
            item = self._next()
            if not isinstance(item, SentPart):
                return parts, item
            parts.append(item)
        return parts, None

    def _next(self) -> SentPart | UnitReport | None:
        part = next(self._parts, None)
        if part is None:
            with self._changed:
                if not self._waiting:
                    return None
                folder, item = self._waiting[0]
            if not isinstance(item, Finished):
                self._forget(folder)
                return item
            self._parts = self._parts_of(folder, item)
            part = next(self._parts)
        if part.done is not None:
            self._forget(self._waiting[0][0] / part.done.file)
        return part

    def _forget(self, path: Path) -> None:
        """What a segment hands on stays until the unit is over: the next segment reads it."""
        discard(path)
        with self._changed:
            self._waiting.popleft()
            self._changed.notify_all()

    def _parts_of(self, folder: Path, done: Finished) -> Iterator[SentPart]:
        files = [*([folder / done.carry] if done.carry else []), *_files(folder / done.file)]
        for number, path in enumerate(files, 1):
            name = path.relative_to(folder).as_posix()
            yield from _pieces(path, done.index, name, done if number == len(files) else None)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _files(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


def _pieces(path: Path, index: int, name: str, done: Finished | None) -> Iterator[SentPart]:
    size = path.stat().st_size
    with path.open("rb") as file:
        offset = 0
        while True:
            data = file.read(PART_BYTES)
            end = offset + len(data) >= size
            yield SentPart(index=index, name=name, offset=offset, data=data, done=done if end else None)
            offset += len(data)
            if end:
                return
