"""Results over HTTP: films and images with ranges, their sidecars."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response

from limpid.run.places import sidecar_of
from limpid.serve import jobs
from limpid.serve.core import Core, core_of
from limpid.serve.models import JobView, errors
from limpid.serve.refusals import Refusal
from limpid.serve.screen import can_show_folder, show_folder
from limpid.serve.views import media_type

_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"*/*": {}}, "description": "the file"},
    206: {"content": {"*/*": {}}, "description": "a part of the file"},
    416: {"description": "no such part of the file"},
}
results_router = APIRouter(prefix="/api/v1", tags=["results"])


@results_router.get("/jobs/{job}/result", response_class=FileResponse, responses={**errors(404, 409), **_FILE})
async def show_result(request: Request, job: str, download: bool = False) -> Response:
    """The film or image that a job made, with ranges."""
    core = core_of(request)
    row = await core.database.read(jobs.find, job)
    if row["state"] != "done":
        raise Refusal(404, "not_found", f"a job that is {row['state']} has no result")
    return await run_in_threadpool(sent_file, core, Path(row["output"]), download=download)


@results_router.get("/jobs/{job}/input", response_class=FileResponse, responses={**errors(404, 409), **_FILE})
async def show_input(request: Request, job: str) -> Response:
    """The film or image that a job is made of, with ranges."""
    core = core_of(request)
    row = await core.database.read(jobs.find, job)
    return await run_in_threadpool(sent_file, core, Path(row["input"]))


@results_router.get("/jobs/{job}/sidecar", responses=errors(404, 409))
async def show_sidecar(request: Request, job: str) -> Response:
    """What made the result: all settings, versions and hashes."""
    core = core_of(request)
    row = await core.database.read(jobs.find, job)
    return await run_in_threadpool(sent_file, core, sidecar_of(Path(row["output"])), kind="application/json")


@results_router.post("/jobs/{job}/open", response_model=JobView, responses=errors(404, 409))
async def open_result_folder(request: Request, job: str) -> Response:
    """Show the folder of the result on this machine's screen."""
    core = core_of(request)
    found = await core.database.read(jobs.view, job)
    if not can_show_folder(request):
        raise Refusal(409, "state", "folders are shown only to who asks from this machine, and where it has a screen")
    await run_in_threadpool(show_folder, core.roots.folder(str(Path(found["output"]).parent)))
    return JSONResponse(core.hub.with_progress(found))


def sent_file(core: Core, path: Path, *, download: bool = False, kind: str | None = None) -> Response:
    """A file of a job, looked at again: whatever lies under its name now must still be inside the roots."""
    real = Path(os.path.realpath(path))
    if not core.roots.allows(real) and not real.is_relative_to(core.previews):
        raise Refusal(403, "outside", f"{path} leads out of the folders that may be used")
    if real.is_dir():
        raise Refusal(409, "state", f"{path} is a folder of images; open it there")
    if not real.is_file():
        raise Refusal(404, "not_found", f"{path} is not there any more")
    name = path.name if download else None
    answer = FileResponse(real, media_type=kind or media_type(path), filename=name)
    answer.headers["cache-control"] = "no-cache"
    return answer
