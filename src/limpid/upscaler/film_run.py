"""A film that is restored in a thread while an ``async`` program goes on, and is told how far it is."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from limpid.api import Report
from limpid.durable.interrupt import STOPPED
from limpid.types import Interrupted, Progress

_Event = dict[str, Any]
_Work = Callable[[Progress, threading.Event], Report]
"""What is run, given where it tells events and what stops it."""
MOST_WAITING_EVENTS = 1024
"""Where nobody listens, older events are forgotten."""


class FilmRun:
    """A run that has begun: iterate over it for its events, await it for its report.

    Events are those of `limpid.run.events`. The iteration ends with the run and raises what that raised.
    Whoever is cancelled while awaiting or iterating, leaves the loop early, or drops the run, stops it: cleanly,
    within a step of the computation, with all that was finished kept, so that the same call goes on there.

    Raises:
        RuntimeError: no event loop is running.
    """

    def __init__(self, work: _Work) -> None:
        loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._inbox = _Inbox(loop)
        self._report = loop.run_in_executor(None, _worked, work, self._inbox, self._stop)
        self._report.add_done_callback(_look_at)

    def stop(self) -> None:
        """Ask the run to stop; awaiting it then raises `limpid.types.Interrupted`, unless it was at its end."""
        self._stop.set()

    def done(self) -> bool:
        """Whether the run has ended, one way or another."""
        return self._report.done()

    def __await__(self) -> Generator[Any, None, Report]:
        return self._wait().__await__()

    def __aiter__(self) -> AsyncIterator[_Event]:
        return self._events()

    def __del__(self) -> None:
        stop = self.__dict__.get("_stop")
        if stop is not None:
            stop.set()

    async def _wait(self) -> Report:
        try:
            return await asyncio.shield(self._report)
        finally:
            await self._ended()

    async def _events(self) -> AsyncIterator[_Event]:
        try:
            while (event := await self._inbox.next()) is not None:
                yield event
            await self._wait()
        finally:
            await self._ended()

    async def _ended(self) -> None:
        """Stops the run if it still works, and waits until its thread does nothing any more."""
        if not self._report.done():
            self._stop.set()
            await asyncio.wait([self._report])


class _Inbox:
    """Events on their way from the thread of a run to its event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: deque[_Event] = deque(maxlen=MOST_WAITING_EVENTS)
        self._changed = asyncio.Event()
        self._ended = False

    def tell(self, event: _Event) -> None:
        """Called in the thread. Raises Interrupted when the loop is no more."""
        self._call(self._put, event)

    def end(self) -> None:
        """Called in the thread when no event can follow."""
        self._call(self._finish)

    async def next(self) -> _Event | None:
        """The oldest event that was not taken yet; None after the last one."""
        while not self._events and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft() if self._events else None

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed
            raise Interrupted(STOPPED) from None

    def _put(self, event: _Event) -> None:
        self._events.append(event)
        self._changed.set()

    def _finish(self) -> None:
        self._ended = True
        self._changed.set()


def _worked(work: _Work, inbox: _Inbox, stop: threading.Event) -> Report:
    """The whole of the thread; holds nothing of the `FilmRun`, so that one that is dropped can be noticed."""
    try:
        return work(inbox.tell, stop)
    finally:
        inbox.end()


def _look_at(report: asyncio.Future[Report]) -> None:
    """Nobody has to await a run; asyncio would complain of errors that nobody saw."""
    if not report.cancelled():
        report.exception()
