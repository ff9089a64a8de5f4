"""What a client is told that is refused: a status, a short code for programs, one sentence for people."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from limpid.bounded import cut, one_line
from limpid.types import InputError, LimpidError, OutputError, ResourceError, SettingsError, WeightsError

LONGEST_MESSAGE = 2000
_CODES: dict[int, str] = {400: "bad_request", 404: "not_found", 405: "method", 413: "too_large", 415: "media_type"}
_SENTENCES = {404: "there is nothing at this address", 405: "this address does not take that method"}
_ENGINE: tuple[tuple[type[LimpidError], str], ...] = (
    (SettingsError, "settings"),
    (InputError, "input"),
    (OutputError, "output"),
    (WeightsError, "weights"),
    (ResourceError, "resources"),
)
ENGINE_CODES = {kind.exit_code: code for kind, code in _ENGINE}
"""Exit code of ``limpid upscale`` -> code of the refusal."""


class Refusal(HTTPException):
    """Raised anywhere while a request is answered; ``field`` names the part of the request that is meant."""

    def __init__(self, status: int, code: str, message: str, *, field: str | None = None, **more: Any) -> None:
        super().__init__(status, detail=message)
        self.code, self.field, self.more = code, field, more

    def response(self) -> Response:
        return refusal_response(self.status_code, self.code, str(self.detail), self.field, self.more)


def refusal_response(
    status: int, code: str, message: str, field: str | None = None, more: dict[str, Any] | None = None
) -> Response:
    """The one form of every refusal."""
    headers = {"retry-after": "5"} if status in (429, 503) else {}
    error = {"code": code, "message": cut(message, LONGEST_MESSAGE), "field": field}
    return JSONResponse({"error": error, **(more or {})}, status, headers)


def refused(error: LimpidError, field: str | None = None) -> Refusal:
    """An error of the engine, in its own words, before anything was queued."""
    code = next((code for kind, code in _ENGINE if isinstance(error, kind)), "settings")
    return Refusal(422, code, str(error), field=field or (code if code in ("settings", "input", "output") else None))


def install(app: FastAPI) -> None:
    """Make everything that goes wrong while a request is answered take the one form."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(LimpidError, _engine)


async def _http(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        return error.response()
    assert isinstance(error, HTTPException)
    status = error.status_code
    message = _SENTENCES.get(status) or str(error.detail)
    answer = refusal_response(status, _CODES.get(status, "bad_request"), message)
    answer.headers.update(error.headers or {})
    return answer


async def _engine(request: Request, error: Exception) -> Response:
    assert isinstance(error, LimpidError)
    return refused(error).response()


async def _invalid(request: Request, error: Exception) -> Response:
    """The first thing that is wrong with a request, as a sentence."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    where = ".".join(place) or None
    about = f"{where}: " if where else ""
    return refusal_response(400, "bad_request", f"{about}{one_line(first['msg'])}", where)
