"""Server-sent events: numbered ones in order and without a gap, from where a listener was; progress in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from limpid.serve.database import Database, NumberedEvent, Transaction, events_after
from limpid.serve.hub import Hub

KEEP_ALIVE_S = 15.0
PROGRESS_S = 0.5
_AT_ONCE = 500


async def listen(hub: Hub, database: Database, after: int | None, job: str | None) -> AsyncIterator[bytes]:
    """What a listener is sent, until it goes away or the server ends.

    Args:
        after: the last number it has seen; None begins now.
        job: only what is about this one.
    """
    with hub.listening() as changed:
        position = hub.newest if after is None else after
        if position > hub.newest or await database.read(_has_gap, position):
            yield _line("reset", "{}")
            position = hub.newest
        yield _line("hello", f'{{"last":{hub.newest},"server":"{hub.server}"}}')
        tick, told = hub.ticks if after is None else 0, 0.0
        while not hub.closing:
            changed.clear()
            for event in await _next(hub, database, position):
                position = event.seq
                if job in (None, event.job):
                    yield _line(event.name, event.data, event.seq)
            now = asyncio.get_running_loop().time()
            if now - told >= PROGRESS_S and tick < hub.ticks:
                lines, tick, told = hub.progress_since(tick, job), hub.ticks, now
                for data in lines:
                    yield _line("progress", data)
            if position >= hub.newest:
                late = PROGRESS_S if tick < hub.ticks else KEEP_ALIVE_S
                if not await _wait(changed, late) and late == KEEP_ALIVE_S:
                    yield b": still here\n\n"


async def _wait(changed: asyncio.Event, most_s: float) -> bool:
    """Whether something was told in that time."""
    try:
        await asyncio.wait_for(changed.wait(), most_s)
    except TimeoutError:
        return False
    return True


async def _next(hub: Hub, database: Database, position: int) -> list[NumberedEvent]:
    found = hub.in_memory(position)
    return await database.read(events_after, position, _AT_ONCE) if found is None else found


def _has_gap(work: Transaction, position: int) -> bool:
    """Whether events after that number were forgotten already."""
    oldest = work.number("SELECT MIN(seq) FROM events")
    newest = work.number("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
    return position < newest and (oldest == 0 or oldest > position + 1)


def _line(name: str, data: str, seq: int | None = None) -> bytes:
    number = "" if seq is None else f"id: {seq}\n"
    return f"{number}event: {name}\ndata: {data}\n\n".encode()
