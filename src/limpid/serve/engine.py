"""Questions that only the engine can answer, asked by short ``limpid`` processes: methods, plans."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from limpid.bounded import json_object, parse_json
from limpid.serve.arguments import upscale_words
from limpid.serve.core import Core
from limpid.serve.jobs import Wanted
from limpid.serve.processes import process_of
from limpid.serve.refusals import ENGINE_CODES, Refusal
from limpid.serve.told import Told
from limpid.settings import Settings

METHODS_S = 90.0
PLAN_S = 1800.0
_LOOK_S = 0.5
_MOST_BYTES = 4 << 20


async def methods_of(core: Core, *, fresh: bool) -> dict[str, Any]:
    """What ``limpid methods --json`` says; asked once, because it loads PyTorch."""
    async with core.asking:
        if core.methods is None or fresh:
            code, said, log = await _output(core, ["methods", "--json"], METHODS_S)
            if code != 0:
                raise Refusal(503, "busy", f"limpid methods failed: {_last_line(log)}")
            core.methods = json_object(parse_json(said))
        return core.methods


async def plan_of(core: Core, wanted: Wanted, request: Request) -> dict[str, Any]:
    """What a dry run tells. Raises Refusal with the engine's sentence; ends when the client goes away."""
    settings = Settings.from_dict(wanted.settings)
    words = upscale_words(wanted.input, wanted.output, settings, overwrite=wanted.overwrite)
    async with core.planning:
        asked = asyncio.create_task(_output(core, [*words, "--dry-run", "--json"], PLAN_S))
        try:
            while not asked.done():
                await asyncio.wait([asked], timeout=_LOOK_S)
                if await request.is_disconnected():
                    raise Refusal(503, "busy", "the client went away")
        finally:
            asked.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asked
    code, said, log = asked.result()
    return _facts(code, said, log)


def _facts(code: int, said: bytes, log: bytes) -> dict[str, Any]:
    told = Told({})
    for line in said.splitlines():
        with contextlib.suppress(ValueError):
            told.take(json_object(parse_json(line)))
    if code != 0:
        message = (told.facts.get("error") or {}).get("message") or _last_line(log)
        raise Refusal(422, ENGINE_CODES.get(code, "settings"), message)
    facts = {name: told.facts.get(name) for name in ("clip", "plan", "estimate")}
    return {**facts, "notes": told.facts.get("notes", []), "warnings": told.facts.get("warnings", [])}


async def _output(core: Core, words: Sequence[str], most_s: float) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a ``limpid`` command, which ends when nobody waits for it any more."""
    async with process_of([*core.config.command, *words]) as process:
        try:
            said, log = await asyncio.wait_for(process.communicate(), most_s)
        except TimeoutError:
            raise Refusal(503, "busy", f"limpid {words[0]} took longer than {most_s:g} s") from None
        return int(process.returncode or 0), said[-_MOST_BYTES:], log[-_MOST_BYTES:]


def _last_line(log: bytes) -> str:
    lines = log.decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("limpid: ") if lines else "it said nothing"
