"""Everything that a running server consists of, for the functions that answer requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request

from limpid.serve.advice import Advice
from limpid.serve.attending import Attendant
from limpid.serve.config import ServeConfig
from limpid.serve.database import Database, last_number
from limpid.serve.hub import Hub
from limpid.serve.roots import Roots
from limpid.serve.scheduler import Scheduler
from limpid.serve.showing import Showing
from limpid.serve.tokens import Tokens
from limpid.serve.uploads import Uploads
from limpid.serve.watches import Watches

_T = TypeVar("_T")


@dataclass
class Core:
    """The parts of a server; made by `make_core`, before anything runs."""

    config: ServeConfig
    tokens: Tokens
    roots: Roots
    hub: Hub
    database: Database
    scheduler: Scheduler
    advice: Advice
    uploads: Uploads
    showing: Showing
    watches: Watches
    methods: dict[str, Any] | None = None
    """What ``limpid methods`` said."""
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    planning: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Dry runs load a network; one at a time."""

    @property
    def previews(self) -> Path:
        """Where the results of previews lie, each in a folder of its own."""
        return self.config.state.resolve() / "previews"

    async def change(self, work: Callable[..., _T], *values: Any) -> _T:
        """Change the state, and let the queue look at it."""
        answer = await self.database.write(work, *values)
        self.scheduler.wake()
        return answer


def make_core(config: ServeConfig, tokens: Tokens) -> Core:
    """Open the state of a server. Must be called where its event loop runs."""
    hub = Hub()
    for folder in (config.uploads, config.state / "jobs"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(config.state, config.limits.events, hub.publish)
    showing = Showing(config, database)
    attendant = Attendant(config=config, database=database, hub=hub, on_preview=showing.compare)
    roots, scheduler = Roots((*config.roots, config.uploads.resolve())), Scheduler(attendant, database, config.at_once)
    return Core(
        config=config,
        tokens=tokens,
        roots=roots,
        hub=hub,
        database=database,
        scheduler=scheduler,
        advice=Advice(config.advisor),
        uploads=Uploads(config, database),
        showing=showing,
        watches=Watches(config, database, roots, scheduler),
    )


async def start(core: Core) -> list[asyncio.Task[None]]:
    """Let the server work; returns what works."""
    core.hub.newest = await core.database.read(last_number)
    return [asyncio.create_task(each.run()) for each in (core.scheduler, core.watches)]


def core_of(request: Request) -> Core:
    found = request.app.state.core
    assert isinstance(found, Core)
    return found
