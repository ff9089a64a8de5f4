"""Before and after over HTTP: comparisons, the newest segment, small pictures, previews."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response

from limpid.run.places import default_output, kind_of
from limpid.serve import changes, jobs
from limpid.serve.arguments import chosen
from limpid.serve.asking import settings_of
from limpid.serve.core import Core, core_of
from limpid.serve.database import Transaction
from limpid.serve.jobs import Wanted, new_id
from limpid.serve.listing import kind_of_name
from limpid.serve.models import ComparisonBody, JobView, PreviewBody, errors
from limpid.serve.refusals import Refusal, refused
from limpid.serve.routes_jobs import clean_up
from limpid.serve.showing import ShownKind
from limpid.types import LimpidError

ONE_FRAME_S = 0.001
"""Length of a preview that holds the frame that is on screen then, and no other."""
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}, "video/mp4": {}}, "description": "the file"}
}
_SMALL: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "a small picture"},
    204: {"description": "there is no picture of that"},
}
shown_router = APIRouter(prefix="/api/v1")


@shown_router.post(
    "/jobs/{job}/comparison", tags=["results"], status_code=202, responses=errors(404, 408, 409, 413, 415)
)
async def make_comparison(request: Request, job: str, body: ComparisonBody) -> dict[str, Any]:
    """Begin to make what shows a result beside its input."""
    core = core_of(request)
    row = await core.database.read(jobs.find, job)
    if row["state"] != "done":
        raise Refusal(409, "state", f"a job that is {row['state']} has no result to compare")
    core.showing.compare(row, body.start_s, body.seconds)
    return core.showing.about(job, "comparison")


@shown_router.get("/jobs/{job}/comparison", tags=["results"], responses=errors(404))
async def show_comparison(request: Request, job: str) -> dict[str, Any]:
    """What shows a result beside its input, as far as it is made."""
    core = core_of(request)
    await core.database.read(jobs.find, job)
    return core.showing.about(job, "comparison")


@shown_router.get("/jobs/{job}/latest", tags=["results"], responses=errors(404))
async def show_latest(request: Request, job: str) -> dict[str, Any]:
    """The newest finished segment of a job that runs, beside its input; asking makes it."""
    core = core_of(request)
    row = await core.database.read(jobs.find, job)
    if row["state"] == "running":
        core.showing.look(row)
    return core.showing.about(job, "latest")


@shown_router.get(
    "/jobs/{job}/{kind}/{name}", tags=["results"], response_class=FileResponse, responses={**errors(404), **_PICTURE}
)
async def show_picture(request: Request, job: str, kind: ShownKind, name: str) -> Response:
    """A picture or the video of a comparison."""
    core = core_of(request)
    await core.database.read(jobs.find, job)
    return FileResponse(core.showing.file(job, kind, name), headers={"cache-control": "private, max-age=86400"})


@shown_router.get("/files/picture", tags=["files"], response_class=FileResponse, responses={**errors(), **_SMALL})
async def show_small_picture(
    request: Request,
    path: Annotated[str, Query(max_length=4096)],
    width: Annotated[int, Query(ge=16, le=640)] = 240,
) -> Response:
    """A small picture of the first frame of a film or image; nothing (204) where there is none, which is no error."""
    core = core_of(request)
    try:
        found = await run_in_threadpool(core.roots.existing, path)
    except Refusal as refusal:
        if refusal.status_code != 404:
            raise
        return Response(status_code=204)  # an input may have been moved since; the list of jobs has no picture of it
    usable = found.is_dir() or kind_of_name(found) is not None
    picture = await core.showing.small_picture(found, width) if usable else None
    if picture is None:
        return Response(status_code=204)
    return FileResponse(picture, headers={"cache-control": "private, max-age=3600"})


@shown_router.post(
    "/previews", tags=["jobs"], status_code=201, response_model=JobView, responses=errors(404, 408, 413, 415, 422, 429)
)
async def make_preview(request: Request, body: PreviewBody) -> Response:
    """Restore one moment, beside the queue; its comparison is made when it is done."""
    core = core_of(request)
    wanted = await run_in_threadpool(_preview, core, body)
    await core.advice.ask(wanted)
    made, gone = await core.change(_create_preview, wanted, core.config.limits.previews, core.config.limits.jobs)
    for job, output in gone:
        await run_in_threadpool(clean_up, core, job, Path(output), unfinished=True)
    return JSONResponse(core.hub.with_progress(made), 201)


def _preview(core: Core, body: PreviewBody) -> Wanted:
    """A job for a moment of a film, whose result lies in the server's own folder."""
    settings = settings_of(core.roots, body.settings, body.preset)
    source = core.roots.existing(body.input, "input")
    if not source.is_dir() and kind_of_name(source) is None:
        raise Refusal(422, "input", f"{source} has the name of neither a video nor an image", field="input")
    if kind_of(source) != "still":
        stop_s = body.at_s + (body.seconds or ONE_FRAME_S)
        settings = settings.replace(preview=f"{body.at_s:.3f}-{stop_s:.3f}")
    try:
        name = default_output(source, settings, kind=kind_of(source)).name
    except LimpidError as error:
        raise refused(error) from None
    output = core.previews / new_id() / name
    output.parent.mkdir(mode=0o700, parents=True)
    return Wanted(input=source, output=output, settings=chosen(settings), preset=body.preset, kind="preview")


def _create_preview(
    work: Transaction, wanted: Wanted, kept: int, most: int
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """A new preview takes the place of one that waits or runs; the oldest that are over are forgotten."""
    open_ones = "kind = 'preview' AND state IN ('queued', 'running') AND stopping IS NULL"
    for row in work.rows(f"SELECT id FROM jobs WHERE {open_ones}"):
        changes.act(work, row["id"], "cancel")
    over = work.rows(
        "SELECT id, output FROM jobs WHERE kind = 'preview' AND state NOT IN ('queued', 'running') "
        "ORDER BY seq DESC LIMIT -1 OFFSET ?",
        kept - 1,
    )
    for row in over:
        changes.forget(work, row["id"])
    return changes.create(work, wanted, most), [(row["id"], row["output"]) for row in over]
