"""Ctrl-C and termination: the computation is cancelled at once, everything else at a place where it is safe."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from limpid.types import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Cancelled(KeyboardInterrupt):
    """Raised in the main thread after a signal; becomes `limpid.types.Interrupted` where the run ends."""


@contextlib.contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Around a whole command: the first signal raises `Cancelled`, further ones change nothing while it is handled.

    From the first moment on termination ends a command like Ctrl-C does. Runs set handlers of their own meanwhile.
    """
    seen = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        first, seen = not seen, True
        if first:
            raise Cancelled

    if threading.current_thread() is threading.main_thread():
        for each in SIGNALS:
            signal.signal(each, handle)
    yield
    if threading.current_thread() is threading.main_thread():
        for each in SIGNALS:  # while the interpreter shuts down there is nothing left to stop
            signal.signal(each, signal.SIG_IGN)


STOPPED = "stopped; finished segments are kept, and the same command goes on where this one was"


@contextlib.contextmanager
def stopping_cleanly(stop: threading.Event | None = None) -> Iterator[Interrupts]:
    """Turns Ctrl-C and termination inside the block into `limpid.types.Interrupted`, once all is put in order.

    Args:
        stop: when another thread sets it, the block is stopped in the same way.
    """
    try:
        with Interrupts(stop) as interrupts:
            yield interrupts
    except KeyboardInterrupt:
        raise Interrupted(STOPPED) from None


class Interrupts:
    """Catches signals while the block runs. In other threads than the main one Python allows none, and nothing is done.

    A signal in the middle of ``queue.put`` or of writing the journal could leave them in a bad state. So the handler
    only notes it, and raises at once only within `interruptible`, around the long computation.

    Args:
        stop: stands for a signal when it is set, by another thread for instance; it is seen where `check` is called.
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._signalled = False
        self._stop = stop
        self._interruptible = False
        self._before: dict[signal.Signals, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal came, or `stop` was set."""
        return self._signalled or (self._stop is not None and self._stop.is_set())

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self._signalled = not self._signalled, True
        if first and self._interruptible:
            raise Cancelled

    def check(self) -> None:
        """Raises `Cancelled` when a signal came, or `stop` was set."""
        if self.requested:
            raise Cancelled

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        self._interruptible = True
        try:
            self.check()
            yield
        finally:
            self._interruptible = False
