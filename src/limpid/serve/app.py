"""The server put together: guard, refusals, paths."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.types import ASGIApp

from limpid import __version__
from limpid.serve import refusals
from limpid.serve.config import ServeConfig
from limpid.serve.guard import Guard
from limpid.serve.routes_page import PageFiles, page_router
from limpid.serve.routes_server import server_router
from limpid.serve.tokens import Tokens


def make_app(config: ServeConfig) -> ASGIApp:
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
    for router in (server_router, page_router):
        app.include_router(router)
    app.mount("/static", PageFiles(), name="static")
    return Guard(app, config, tokens)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
