"""Files, presets, checks and plans over HTTP: what a form needs before a job is made."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from limpid.presets import LOOKS, Preset, delete_preset, list_presets, save_preset
from limpid.serve.arguments import chosen, command_line, upscale_words
from limpid.serve.asking import settings_of
from limpid.serve.core import Core, core_of
from limpid.serve.database import Transaction
from limpid.serve.engine import methods_of, plan_of
from limpid.serve.jobs import Wanted
from limpid.serve.listing import list_folder, list_roots
from limpid.serve.models import CheckView, FolderView, JobBody, PlanView, PresetBody, PresetList, PresetView, errors
from limpid.serve.refusals import Refusal, refused
from limpid.serve.routes_jobs import wanted_of
from limpid.settings import Settings
from limpid.types import LimpidError

files_router = APIRouter(prefix="/api/v1")


@files_router.get("/files", tags=["files"], response_model=FolderView, responses=errors(404))
async def list_files(
    request: Request, path: Annotated[str | None, Query(max_length=4096, description="none: the roots")] = None
) -> Response:
    """What a folder holds that can be opened or be an input."""
    core = core_of(request)
    return JSONResponse(await run_in_threadpool(_listed, core, path))


def _listed(core: Core, path: str | None) -> dict[str, Any]:
    uploads = core.config.uploads.resolve()
    if path is None:
        return list_roots(core.roots, uploads)
    return list_folder(core.roots.folder(path), core.roots, uploads, core.config.limits.listed)


@files_router.post("/check", tags=["jobs"], response_model=CheckView, responses=errors(404, 408, 413, 415, 422))
async def check_job(request: Request, body: JobBody) -> Response:
    """Whether a job would be taken, where its result would go, and the command line that makes the same."""
    core = core_of(request)
    return JSONResponse(await _checked(core, await wanted_of(core, body)))


async def _checked(core: Core, wanted: Wanted) -> dict[str, Any]:
    notes = await core.advice.ask(wanted)
    words = upscale_words(wanted.input, wanted.output, Settings.from_dict(wanted.settings), overwrite=wanted.overwrite)
    about = {"ok": True, "output": str(wanted.output), "output_exists": wanted.output.exists()}
    return {**about, "command": command_line(words), "argv": ["limpid", *words], "notes": notes}


@files_router.post("/plan", tags=["jobs"], response_model=PlanView, responses=errors(404, 408, 413, 415, 422))
async def plan_job(request: Request, body: JobBody) -> Response:
    """The plan, and an estimate of time, memory and disk; reads the input once."""
    core = core_of(request)
    wanted = await wanted_of(core, body)
    facts = await plan_of(core, wanted, request)
    return JSONResponse({**await _checked(core, wanted), **facts})


@files_router.get("/methods", tags=["settings"], responses=errors())
async def list_methods(request: Request, fresh: bool = False) -> dict[str, dict[str, Any]]:
    """The methods, whether their weights are here, and which options have an effect with each."""
    return {"methods": await methods_of(core_of(request), fresh=fresh)}


@files_router.get("/presets", tags=["presets"], response_model=PresetList, responses=errors())
async def show_presets() -> Response:
    """All presets: the user's own, then those that come with Limpid."""
    presets = [*await run_in_threadpool(list_presets), *LOOKS.values()]
    return JSONResponse({"presets": [preset_view(preset) for preset in presets]})


@files_router.put(
    "/presets/{name}", tags=["presets"], response_model=PresetView, responses=errors(408, 413, 415, 422, 429)
)
async def put_preset(request: Request, name: str, body: PresetBody) -> Response:
    """Keep settings under a name."""
    core = core_of(request)
    settings = chosen(settings_of(core.roots, body.settings, None))
    preset = await run_in_threadpool(_save, core, name, body.description, settings)
    await core.database.write(_tell_presets)
    return JSONResponse(preset_view(preset))


def _save(core: Core, name: str, description: str, settings: dict[str, Any]) -> Preset:
    try:
        preset = Preset(name=name, settings=settings, description=description)
        known = [each.name for each in list_presets()]
        if name not in known and len(known) >= core.config.limits.presets:
            raise Refusal(429, "too_many", f"there are {len(known)} presets; delete one")
        save_preset(preset)
    except LimpidError as error:
        raise refused(error, "name") from None
    return preset


@files_router.delete("/presets/{name}", tags=["presets"], status_code=204, responses=errors(404))
async def remove_preset(request: Request, name: str) -> Response:
    """Forget a preset."""
    try:
        await run_in_threadpool(delete_preset, name)
    except LimpidError as error:
        raise Refusal(404, "not_found", str(error)) from None
    await core_of(request).database.write(_tell_presets)
    return Response(status_code=204)


def _tell_presets(work: Transaction) -> None:
    work.tell("presets", {})


def preset_view(preset: Preset) -> dict[str, Any]:
    about = {"name": preset.name, "description": preset.description}
    return {**about, "settings": dict(preset.settings), "builtin": preset.name in LOOKS}
