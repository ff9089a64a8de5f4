"""Jobs over HTTP: made, listed, changed, stopped, forgotten; the queue and its order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response

from limpid.durable.files import discard
from limpid.durable.lock import locked
from limpid.run.places import home_of
from limpid.run.workspace import empty
from limpid.serve import changes, jobs
from limpid.serve.asking import settings_of, wanted_job
from limpid.serve.core import Core, core_of
from limpid.serve.database import Transaction
from limpid.serve.idempotency import made_before, once
from limpid.serve.jobs import JobKind, Wanted
from limpid.serve.models import JobBody, JobChange, JobList, JobView, OrderBody, QueueChange, QueueView, errors
from limpid.serve.processes import log_of
from limpid.serve.refusals import Refusal
from limpid.types import LimpidError

IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")
]
jobs_router = APIRouter(prefix="/api/v1", tags=["jobs"])


@jobs_router.post("/jobs", status_code=201, response_model=JobView, responses=errors(404, 408, 409, 413, 415, 422, 429))
async def create_job(request: Request, body: JobBody, key: IdempotencyKey = None) -> Response:
    """Put a job at the end of the queue; refused at once where the command line would refuse it."""
    core, plain = core_of(request), body.model_dump()
    known = await core.database.read(made_before, "job", key, plain)
    if known is None:
        wanted = await wanted_of(core, body)
        await core.advice.ask(wanted)
        known, made = await core.change(_create_once, key, plain, wanted, core.config.limits.jobs)
        if made is not None:
            return JSONResponse(core.hub.with_progress(made), 201)
    return JSONResponse(core.hub.with_progress(await core.database.read(jobs.view, known)), 200)


async def wanted_of(core: Core, body: JobBody) -> Wanted:
    """The job that a body asks for. Raises Refusal."""
    return await run_in_threadpool(_wanted, core, body)


def _wanted(core: Core, body: JobBody) -> Wanted:
    settings = settings_of(core.roots, body.settings, body.preset)
    return wanted_job(core.roots, body.input, body.output, settings, preset=body.preset, overwrite=body.overwrite)


def _create_once(
    work: Transaction, key: str | None, body: Any, wanted: Wanted, most: int
) -> tuple[str, dict[str, Any] | None]:
    def make() -> dict[str, Any]:
        made = changes.create(work, wanted, most)
        changes.tell_queue(work)
        return made

    return once(work, "job", key, body, make)


@jobs_router.get("/jobs", response_model=JobList, responses=errors())
async def list_all_jobs(
    request: Request,
    state: Annotated[str | None, Query(max_length=100, description="states, joined by commas")] = None,
    kind: JobKind | None = None,
    search: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="`next` of the page before")] = None,
) -> Response:
    """Jobs, the newest first."""
    core, states = core_of(request), state.split(",") if state else []
    if unknown := [each for each in states if each not in jobs.STATES]:
        raise Refusal(
            400, "bad_request", f"{unknown[0]!r} is no state; those are {', '.join(jobs.STATES)}", field="state"
        )
    found, more, total = await core.database.read(jobs.list_jobs, states, kind, search, before, limit)
    return JSONResponse({"jobs": [core.hub.with_progress(job) for job in found], "next": more, "total": total})


@jobs_router.get("/jobs/{job}", response_model=JobView, responses=errors(404))
async def show_job(request: Request, job: str) -> Response:
    """One job."""
    core = core_of(request)
    return JSONResponse(core.hub.with_progress(await core.database.read(jobs.view, job)))


@jobs_router.patch("/jobs/{job}", response_model=JobView, responses=errors(404, 408, 409, 413, 415, 422))
async def change_job(request: Request, job: str, body: JobChange) -> Response:
    """Other settings or another output for a job that does not run."""
    core = core_of(request)
    before = await core.database.read(jobs.view, job)
    if before["kind"] != "upscale":
        raise Refusal(409, "state", "a preview cannot be changed; make another one")
    wished = JobBody(
        input=before["input"],
        output=before["output"] if body.output is None else body.output,
        settings=before["settings"] if body.settings is None else body.settings,
        overwrite=before["overwrite"] if body.overwrite is None else body.overwrite,
    )
    wanted = await wanted_of(core, wished)
    await core.advice.ask(wanted)
    return JSONResponse(core.hub.with_progress(await core.change(changes.change, job, wanted)))


@jobs_router.delete("/jobs/{job}", status_code=204, responses=errors(404, 409))
async def forget_job(request: Request, job: str) -> Response:
    """Forget a job that does not run. Its result stays, unfinished segments go."""
    core = core_of(request)
    row = await core.change(changes.forget, job)
    await run_in_threadpool(clean_up, core, job, Path(row["output"]), unfinished=row["state"] != "done")
    return Response(status_code=204)


def clean_up(core: Core, job: str, output: Path, *, unfinished: bool) -> None:
    """Remove what is kept of a job that is forgotten, and segments of which no result became."""
    if unfinished and (home := home_of(output)).is_dir():
        try:
            with locked(home):
                empty(home)
        except (LimpidError, OSError):
            pass  # a run that somebody started by hand goes on with them
    discard(core.config.state / "jobs" / job)
    if output.parent.parent == core.previews:
        discard(output.parent)


@jobs_router.post("/jobs/{job}/{action}", response_model=JobView, responses=errors(404, 409))
async def act_on_job(request: Request, job: str, action: Literal["pause", "resume", "cancel", "retry"]) -> Response:
    """Pause, resume, cancel or try again."""
    core = core_of(request)
    return JSONResponse(core.hub.with_progress(await core.change(changes.act, job, action)))


@jobs_router.get("/jobs/{job}/log", response_class=PlainTextResponse, responses=errors(404))
async def show_log(request: Request, job: str) -> Response:
    """What the job's process said on stderr, the end of it."""
    core = core_of(request)
    await core.database.read(jobs.find, job)
    text = await run_in_threadpool(log_of, core.config.state / "jobs" / job)
    return PlainTextResponse(text)


@jobs_router.get("/queue", response_model=QueueView, responses=errors())
async def show_queue(request: Request) -> Response:
    """The order of what waits, and what runs."""
    return JSONResponse(await core_of(request).database.read(jobs.queue_of))


@jobs_router.put("/queue", response_model=QueueView, responses=errors(408, 413, 415))
async def order_queue(request: Request, body: OrderBody) -> Response:
    """Put jobs first, in this order."""
    return JSONResponse(await core_of(request).change(changes.reorder, body.order))


@jobs_router.patch("/queue", response_model=QueueView, responses=errors(408, 413, 415))
async def change_queue(request: Request, body: QueueChange) -> Response:
    """How many jobs run at once, and whether new ones start."""
    return JSONResponse(await core_of(request).change(changes.set_queue, body.at_once, body.paused))
