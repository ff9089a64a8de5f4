"""Events over HTTP, as server-sent events; see `limpid.serve.stream`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from limpid.serve import jobs
from limpid.serve.core import Core, core_of
from limpid.serve.models import errors
from limpid.serve.refusals import Refusal
from limpid.serve.stream import listen

After = Annotated[int | None, Query(ge=0, le=2**53, description="begin after this number; default: now")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=40)]
_STREAM = {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "server-sent events"}

events_router = APIRouter(prefix="/api/v1", tags=["events"])


@events_router.get("/events", response_class=StreamingResponse, responses={**errors(), 200: _STREAM})
async def follow_all(request: Request, after: After = None, last: LastEventId = None) -> Response:
    """What happens, as it happens; with what was missed since the last event seen."""
    return _stream(core_of(request), after, last, None)


@events_router.get("/jobs/{job}/events", response_class=StreamingResponse, responses={**errors(404), 200: _STREAM})
async def follow_job(request: Request, job: str, after: After = None, last: LastEventId = None) -> Response:
    """What happens to one job."""
    core = core_of(request)
    await core.database.read(jobs.find, job)
    return _stream(core, after, last, job)


def _stream(core: Core, after: int | None, last: str | None, job: str | None) -> Response:
    most = core.config.limits.streams
    if core.hub.open_streams >= most:
        raise Refusal(503, "busy", f"{most} streams of events are open already; close one, or ask again later")
    if last and not (last.isascii() and last.isdigit() and len(last) < 17):
        raise Refusal(400, "bad_request", "Last-Event-ID is no number of an event", field="Last-Event-ID")
    position = int(last) if last else after
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(
        listen(core.hub, core.database, position, job), media_type="text/event-stream", headers=headers
    )
