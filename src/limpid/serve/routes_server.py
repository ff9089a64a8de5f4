"""Health, what the page must know of the server, logging in, settings."""

from __future__ import annotations

import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from limpid import __version__
from limpid.choices import Group
from limpid.serve.core import core_of
from limpid.serve.guard import client_address
from limpid.serve.jobs import counts_by_state, queue_of
from limpid.serve.listing import root_name
from limpid.serve.measured import metrics_text
from limpid.serve.models import HealthView, as_component, errors
from limpid.serve.refusals import Refusal
from limpid.serve.screen import can_show_folder
from limpid.serve.tokens import COOKIE
from limpid.settings import schema
from limpid.video.names import STILL_SUFFIXES, VIDEO_SUFFIXES

API_VERSION = 1
COMMON = ("method", "scale", "height", "detail", "denoise", "codec", "crf")
"""Settings that a page shows before all others."""
_SHOWN_LIMITS = ("upload_bytes", "piece_bytes", "open_uploads", "jobs", "streams", "presets", "watches")

server_router = APIRouter(prefix="/api/v1")


@server_router.get("/health", tags=["server"], response_model=HealthView, responses={**errors(), **as_component()})
async def health(request: Request) -> Response:
    """Whether the server answers, and whether you would be let in."""
    core, authenticated = core_of(request), request.scope["limpid.authenticated"]
    about = {"status": "ok", "version": __version__, "api": API_VERSION, "token_needed": core.config.token is not None}
    counts = await core.database.read(counts_by_state) if authenticated else {}
    known = {name: counts[name] for name in ("running", "queued") if name in counts}
    return JSONResponse({**about, "authenticated": authenticated, **known})


@server_router.get("/server", tags=["server"], responses=errors())
async def about_server(request: Request) -> dict[str, Any]:
    """What a page must know: roots, limits, what can be done here."""
    core = core_of(request)
    queue, config = await core.database.read(queue_of), core.config
    limits = {name: getattr(config.limits, name) for name in _SHOWN_LIMITS}
    uploads = config.uploads.resolve()
    return {
        "version": __version__,
        "roots": [{"name": root_name(root, uploads), "path": str(root)} for root in core.roots.folders],
        "uploads": str(uploads),
        "at_once": queue["at_once"],
        "queue_paused": queue["paused"],
        "limits": limits,
        "can_open_folder": can_show_folder(request),
        "suffixes": sorted(VIDEO_SUFFIXES | STILL_SUFFIXES),
        "free_bytes": shutil.disk_usage(uploads).free,
    }


@server_router.get("/metrics", tags=["server"], response_class=PlainTextResponse, responses=errors())
async def metrics(request: Request) -> Response:
    """Counts and states for Prometheus."""
    core = core_of(request)
    counts = await core.database.read(counts_by_state)
    return PlainTextResponse(metrics_text(core, counts), media_type="text/plain; version=0.0.4; charset=utf-8")


@server_router.post("/session", tags=["server"], status_code=204, responses=errors(408, 413, 415, 429))
async def log_in(request: Request, token: Annotated[str, Body(embed=True, max_length=1000)]) -> Response:
    """Trade the token for a cookie that only this server sees and no script can read."""
    config, tokens = request.app.state.config, request.app.state.tokens
    if not tokens.check(token, client_address(request.scope)):
        raise Refusal(401, "token", "this is not the token", field="token")
    answer = Response(status_code=204)
    is_safe = config.certfile is not None
    answer.set_cookie(COOKIE, tokens.session(), httponly=True, samesite="strict", secure=is_safe, max_age=30 * 86400)
    return answer


@server_router.delete("/session", tags=["server"], status_code=204, responses=errors())
async def log_out(request: Request) -> Response:
    """Remove the cookie."""
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@server_router.get("/settings/schema", tags=["settings"], responses=errors())
async def settings_schema() -> dict[str, Any]:
    """JSON Schema of what ``settings`` may hold, with a help text for each."""
    return {**schema(), "x-common": list(COMMON), "x-groups": [str(group) for group in Group]}
