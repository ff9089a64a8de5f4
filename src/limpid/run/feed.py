"""Decoding ahead of the computation: a thread that reads every needed frame once, in order, into a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from limpid.restoration.times import Times
from limpid.types import VideoFrame, Window

Read = Callable[[Window], Sequence[VideoFrame]]
GROUP_BYTES = 16 << 20
MOST_GROUP_FRAMES = 8
QUEUED_GROUPS = 3
WAITING_GROUPS = 1 + QUEUED_GROUPS
"""Read ahead: those in the queue, and one that waits to get in."""
_POLL_S = 0.1


def group_frames(width: int, height: int) -> int:
    """How many frames are read at once: few enough that the queue stays small for large pictures."""
    return max(1, min(MOST_GROUP_FRAMES, GROUP_BYTES // (width * height * 6)))


def needed_windows(windows: Iterable[Window]) -> list[Window]:
    """Windows in ascending order without overlap: what two of them share is read once."""
    found: list[Window] = []
    for window in sorted(windows, key=lambda w: w.start):
        if found and window.start <= found[-1].stop:
            found[-1] = Window(start=found[-1].start, stop=max(found[-1].stop, window.stop))
        else:
            found.append(window)
    return found


class Feed:
    """Hands out windows of frames whose starts never go back; keeps only what a later window can still ask for."""

    def __init__(
        self,
        read: Read,
        windows: Iterable[Window],
        group: int,
        times: Times | None = None,
        stop_reading: Callable[[], None] = lambda: None,
    ) -> None:
        """``stop_reading``: ends a ``read`` that waits for frames that nobody wants any more."""
        self._stop_reading = stop_reading
        self._times = times or Times()
        self._read, self._windows, self._group = read, needed_windows(windows), group
        self._queue: queue.Queue[Sequence[VideoFrame] | BaseException | None] = queue.Queue(QUEUED_GROUPS)
        self._frames: deque[VideoFrame] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="limpid-read", daemon=True)

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._stop_reading()
        self._thread.join()

    @property
    def num_live(self) -> int:
        """Frames that are kept between windows."""
        return len(self._frames)

    def window(self, window: Window) -> list[VideoFrame]:
        """The frames of ``window``, waiting for them to be read. Raises what the reading thread ran into."""
        while self._frames and self._frames[0].index < window.start:
            self._frames.popleft()
        while not self._frames or self._frames[-1].index < window.stop - 1:
            self._take(window)
        return [frame for frame in self._frames if frame.index < window.stop]

    def _take(self, window: Window) -> None:
        with self._times.measure("wait_for_frames"):
            item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            raise RuntimeError(f"frames {window.start} to {window.stop - 1} were asked for, but are not in the plan")
        self._frames.extend(frame for frame in item if frame.index >= window.start)

    def _run(self) -> None:
        try:
            for window in self._windows:
                for start in range(window.start, window.stop, self._group):
                    part = Window(start=start, stop=min(start + self._group, window.stop))
                    if self._stop.is_set() or not self._put(self._checked(part)):
                        return
            self._put(None)
        except BaseException as error:  # noqa: BLE001  (handed to the thread that waits for frames)
            self._put(error)

    def _checked(self, window: Window) -> Sequence[VideoFrame]:
        with self._times.measure("decode"):
            frames = self._read(window)
        if [frame.index for frame in frames] != list(range(window.start, window.stop)):
            raise RuntimeError(f"reading frames {window.start} to {window.stop - 1} gave other frames")
        return frames

    def _put(self, item: Sequence[VideoFrame] | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False
