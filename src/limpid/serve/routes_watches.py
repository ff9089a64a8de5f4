"""Watch folders over HTTP; see `limpid.serve.watches`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from limpid.serve.arguments import chosen
from limpid.serve.asking import settings_of
from limpid.serve.core import Core, core_of
from limpid.serve.models import WatchBody, WatchChange, WatchList, WatchView, errors
from limpid.serve.watches import remove_watch

watches_router = APIRouter(prefix="/api/v1", tags=["watch folders"])


@watches_router.get("/watches", response_model=WatchList, responses=errors())
async def list_watches(request: Request) -> Response:
    """The folders that are watched, and how it goes there."""
    core = core_of(request)
    return JSONResponse({"watches": await core.database.read(core.watches.list_all)})


@watches_router.post(
    "/watches", status_code=201, response_model=WatchView, responses=errors(404, 408, 409, 413, 415, 422, 429)
)
async def add_watch(request: Request, body: WatchBody) -> Response:
    """Watch a folder: each video that has stopped growing becomes a job."""
    core = core_of(request)
    wanted = await run_in_threadpool(_wanted, core, body)
    return JSONResponse(await core.database.write(core.watches.add, *wanted, body.preset), 201)


def _wanted(core: Core, body: WatchBody) -> tuple[Any, ...]:
    settings = settings_of(core.roots, body.settings, body.preset)
    values = chosen(settings) if body.preset is None else dict(body.settings)
    return core.roots.folder(body.folder, "folder"), core.roots.folder(body.output_folder, "output_folder"), values


@watches_router.patch("/watches/{watch}", response_model=WatchView, responses=errors(404, 408, 413, 415))
async def change_watch(request: Request, watch: str, body: WatchChange) -> Response:
    """Stop looking for a while, or look again."""
    core = core_of(request)
    return JSONResponse(await core.database.write(core.watches.pause, watch, body.paused))


@watches_router.delete("/watches/{watch}", status_code=204, responses=errors(404))
async def stop_watching(request: Request, watch: str) -> Response:
    """Watch a folder no longer; its jobs stay."""
    await core_of(request).database.write(remove_watch, watch)
    return Response(status_code=204)
