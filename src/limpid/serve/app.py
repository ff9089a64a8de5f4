"""The server put together: guard, refusals, paths, and what works behind them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.types import ASGIApp

from limpid import __version__
from limpid.serve import refusals
from limpid.serve.config import ServeConfig
from limpid.serve.core import make_core, start
from limpid.serve.guard import Guard
from limpid.serve.routes_events import events_router
from limpid.serve.routes_files import files_router
from limpid.serve.routes_jobs import jobs_router
from limpid.serve.routes_page import STATIC, VIEWER, PageFiles, page_router
from limpid.serve.routes_results import results_router
from limpid.serve.routes_server import server_router
from limpid.serve.routes_shown import shown_router
from limpid.serve.routes_uploads import uploads_router
from limpid.serve.routes_watches import watches_router
from limpid.serve.tokens import Tokens

_ROUTERS = (
    server_router,
    results_router,
    shown_router,
    jobs_router,
    files_router,
    uploads_router,
    events_router,
    watches_router,
    page_router,
)


def make_app(config: ServeConfig) -> Guard:
    """The whole server as an ASGI application; the queue begins to work when it starts up."""
    tokens = Tokens(config.token, config.limits.wrong_tokens)
    app = FastAPI(
        title="limpid serve",
        version=__version__,
        description="Jobs, files and settings of one Limpid server; docs/serve-api.md explains them.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.config, app.state.tokens = config, tokens
    refusals.install(app)
    for router in _ROUTERS:
        app.include_router(router)
    app.mount("/static/viewer", PageFiles(VIEWER), name="viewer")
    app.mount("/static", PageFiles(STATIC), name="static")
    return Guard(app, config, tokens)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The queue works while the server answers; then what runs is stopped, to go on at the next start."""
    core = make_core(app.state.config, app.state.tokens)
    app.state.core = core
    tasks = await start(core)
    try:
        yield
    finally:
        core.hub.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await core.showing.close()
        await core.advice.end()
        core.database.close()


def close_streams(app: ASGIApp) -> None:
    """Let all listeners go, so that a server that is asked to end need not wait for them."""
    inner = getattr(app, "app", None)
    if isinstance(inner, FastAPI) and hasattr(inner.state, "core"):
        inner.state.core.hub.close()
