"""Decoding ahead for workers: a thread that reads the frames of one unit after the other and sends them in groups.

At most `OPEN_BYTES` are on their way; a worker has taken a group when it lies on its disk. So neither the head nor the
object store holds more for a longer film.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from limpid.restoration.times import Times
from limpid.run.feed import Read
from limpid.types import VideoFrame, Window

OPEN_BYTES = 48 << 20
KEPT_BYTES = 96 << 20
"""Memory for frames that the next unit needs too; what does not fit is decoded again."""
_POLL_S = 0.1

Send = Callable[[Sequence[VideoFrame]], Callable[[], bool]]
"""Frames on their way -> whether they have arrived, or never will."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The frames of one unit, and who wants them."""

    windows: Sequence[Window]
    """Ascending, without overlap."""
    send: Send
    wanted: Callable[[], bool]
    """False once the worker is gone."""


@dataclass
class KeptFrames:
    """Reads windows in groups; keeps the last frames, because units that follow each other overlap."""

    read: Read
    most_bytes: int = KEPT_BYTES
    _kept: deque[VideoFrame] = field(default_factory=deque)

    def group(self, window: Window) -> list[VideoFrame]:
        """The frames of a window, from what is kept as far as it goes."""
        known = {frame.index: frame for frame in self._kept if window.start <= frame.index < window.stop}
        start = window.start
        while start in known:
            start += 1
        found = [known[index] for index in range(window.start, start)]
        if start < window.stop:
            found += self._read(Window(start=start, stop=window.stop))
        return found

    def _read(self, window: Window) -> list[VideoFrame]:
        frames = list(self.read(window))
        if [frame.index for frame in frames] != list(range(window.start, window.stop)):
            raise RuntimeError(f"reading frames {window.start} to {window.stop - 1} gave other frames")
        if self._kept and self._kept[-1].index != window.start - 1:
            self._kept.clear()
        self._kept.extend(frames)
        while len(self._kept) > max(self.most_bytes // frames[0].pixels.nbytes, 1):
            self._kept.popleft()
        return frames


class Ahead:
    """Delivers in the order in which it is asked. Use as a context manager."""

    def __init__(self, read: Read, group: int, times: Times) -> None:
        self._frames, self._group, self._times = KeptFrames(read), group, times
        self._asked: queue.Queue[Delivery] = queue.Queue()
        self._on_the_way: deque[tuple[Callable[[], bool], int]] = deque()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="limpid-read", daemon=True)

    def __enter__(self) -> Ahead:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def deliver(self, delivery: Delivery) -> None:
        self._asked.put(delivery)

    def check(self) -> None:
        """Raises what the reading thread ran into."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self._deliver(self._asked.get(timeout=_POLL_S))
                except queue.Empty:
                    continue
        except BaseException as error:  # noqa: BLE001  (handed to the thread that waits for results)
            self._error = error

    def _deliver(self, delivery: Delivery) -> None:
        for window in delivery.windows:
            for start in range(window.start, window.stop, self._group):
                if self._stop.is_set() or not delivery.wanted():
                    return
                with self._times.measure("decode"):
                    frames = self._frames.group(Window(start=start, stop=min(start + self._group, window.stop)))
                with self._times.measure("transfer"):
                    self._wait_for_room()
                    arrived = delivery.send(frames)
                self._on_the_way.append((arrived, sum(frame.pixels.nbytes for frame in frames)))

    def _wait_for_room(self) -> None:
        while self._on_the_way and sum(size for _, size in self._on_the_way) > OPEN_BYTES:
            while not self._on_the_way[0][0]() and not self._stop.is_set():
                pass
            if self._stop.is_set():
                return
            self._on_the_way.popleft()
