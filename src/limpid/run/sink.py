"""Encoding behind the computation: a thread that encodes segments and makes each of them durable when it is whole."""

from __future__ import annotations

import errno
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

from torch import Tensor

from limpid.durable.files import free_text, move_durably, remove
from limpid.restoration.times import Times
from limpid.run.journal import Finished, Journal
from limpid.types import OutputError, Segment

_POLL_S = 0.1
QUEUED_PIECES = 2


class Writer(Protocol):
    """What the encoder of a segment must be able to do; see `limpid.video.SegmentWriter`."""

    def write(self, frames: Tensor, pts: Sequence[int]) -> None: ...


OpenWriter = Callable[[Path, int], AbstractContextManager[Writer]]
"""Path and number of the first frame -> writer of a segment."""


@dataclass(frozen=True, kw_only=True)
class _Begin:
    segment: Segment


@dataclass(frozen=True, kw_only=True)
class _Frames:
    frames: Tensor
    pts: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class _End:
    carry: Path | None


class _AbortError(Exception):
    """Leaves the writer by an exception, so that it deletes what it began."""


@dataclass
class Sink:
    """Takes frames of one segment after the other, piece by piece; few pieces wait."""

    open_writer: OpenWriter
    journal: Journal
    suffix: str
    times: Times = field(default_factory=Times)

    def __post_init__(self) -> None:
        self._committed: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._queue: queue.Queue[_Begin | _Frames | _End | None] = queue.Queue(QUEUED_PIECES)
        self._abort = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="limpid-encode", daemon=True)

    def __enter__(self) -> Sink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abort.set()
        self._thread.join()

    def begin(self, segment: Segment) -> None:
        self._put(_Begin(segment=segment))

    def write(self, frames: Tensor, pts: Sequence[int]) -> None:
        """``frames``: ``t 3|4 H W`` in [0, 1], the next ones of the segment."""
        self._put(_Frames(frames=frames, pts=pts))

    def end(self, carry: Path | None = None) -> None:
        """The segment is whole. ``carry``: a durable file that the next segment of the shot needs."""
        self._put(_End(carry=carry))

    def close(self) -> None:
        """Wait until everything is encoded and durable; without this, leaving the block drops what is unfinished."""
        self._put(None)
        with self.times.measure("wait_for_encoder"):
            self._thread.join()
        self.check()

    def take_committed(self) -> list[Finished]:
        """Segments that became durable since the last call."""
        done = []
        while not self._committed.empty():
            done.append(self._committed.get())
        return done

    def check(self) -> None:
        """Raises what the encoding thread ran into."""
        if self._error is not None:
            raise self._error

    def _put(self, item: _Begin | _Frames | _End | None) -> None:
        with self.times.measure("wait_for_encoder"):
            while True:
                self.check()
                try:
                    return self._queue.put(item, timeout=_POLL_S)
                except queue.Full:
                    continue

    def _get(self) -> _Begin | _Frames | _End | None:
        while not self._abort.is_set():
            try:
                return self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                continue
        raise _AbortError

    def _run(self) -> None:
        try:
            while isinstance(item := self._get(), _Begin):
                self._committed.put(self._encode(item.segment))
        except _AbortError:
            pass
        except BaseException as error:  # noqa: BLE001  (handed to the thread that computes)
            self._error = explain_full_disk(error, self.journal.folder)

    def _encode(self, segment: Segment) -> Finished:
        final = self.journal.segment_path(segment.index, self.suffix)
        temporary = final.with_name(f"partial-{final.name}")
        remove(temporary)
        frames = 0
        with self.open_writer(temporary, segment.core.start) as writer:
            while isinstance(item := self._get(), _Frames):
                with self.times.measure("encode"):
                    writer.write(item.frames, item.pts)
                frames += len(item.pts)
        assert isinstance(item, _End)
        if frames != len(segment.core):
            raise RuntimeError(f"segment {segment.index} got {frames} frames instead of {len(segment.core)}")
        with self.times.measure("commit"):
            move_durably(temporary, final)
            return self.journal.add_segment(segment.index, final, frames, item.carry)


def explain_full_disk(error: BaseException, folder: Path) -> BaseException:
    """A full disk in one sentence; other errors as they are."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"no space left for {folder}: free some ({free_text(folder)}) and run the same command again, "
            "finished segments are kept; or start with --work-dir on another disk"
        )
    return error
