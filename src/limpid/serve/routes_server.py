"""Health, what the page must know of the server, logging in, settings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from starlette.responses import JSONResponse, Response

from limpid import __version__
from limpid.serve.guard import client_address
from limpid.serve.refusals import Refusal
from limpid.serve.tokens import COOKIE
from limpid.settings import Group, schema

API_VERSION = 1
COMMON = ("method", "scale", "height", "detail", "codec", "crf")
"""Settings that a page shows before all others."""

server_router = APIRouter(prefix="/api/v1")


@server_router.get("/health", tags=["server"])
async def health(request: Request) -> Response:
    """Whether the server answers, and whether you would be let in."""
    config, authenticated = request.app.state.config, request.scope["limpid.authenticated"]
    known = {"token_needed": config.token is not None, "authenticated": authenticated}
    return JSONResponse({"status": "ok", "version": __version__, "api": API_VERSION, **known})


@server_router.post("/session", tags=["server"], status_code=204)
async def log_in(request: Request, token: Annotated[str, Body(embed=True, max_length=1000)]) -> Response:
    """Trade the token for a cookie that only this server sees and no script can read."""
    config, tokens = request.app.state.config, request.app.state.tokens
    if not tokens.check(token, client_address(request.scope)):
        raise Refusal(401, "token", "this is not the token", field="token")
    answer = Response(status_code=204)
    is_safe = config.certfile is not None
    answer.set_cookie(COOKIE, tokens.session(), httponly=True, samesite="strict", secure=is_safe, max_age=30 * 86400)
    return answer


@server_router.delete("/session", tags=["server"], status_code=204)
async def log_out(request: Request) -> Response:
    """Remove the cookie."""
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@server_router.get("/settings/schema", tags=["settings"])
async def settings_schema() -> dict[str, Any]:
    """JSON Schema of what ``settings`` may hold, with a help text for each."""
    return {**schema(), "x-common": list(COMMON), "x-groups": [str(group) for group in Group]}
