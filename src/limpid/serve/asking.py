"""What a client asks for becomes a job that is possible: paths inside the roots, valid settings, a free output."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpid.durable.apart import check_apart
from limpid.machine_options import PLACES
from limpid.presets import with_preset
from limpid.run.places import (
    Places,
    check_folder,
    check_kind,
    check_name,
    default_output,
    home_of,
    is_result,
    kind_of,
    refuse_taken,
)
from limpid.serve.arguments import chosen
from limpid.serve.jobs import JobKind, Wanted
from limpid.serve.listing import kind_of_name
from limpid.serve.refusals import Refusal, refused
from limpid.serve.roots import Roots
from limpid.settings import Settings
from limpid.types import LimpidError

_FILE_SETTINGS = ("weights", "prompts", "caption_model")
"""Settings that can name a file: it must lie inside the roots, too."""
_TEXT_OF_PROMPTS = re.compile(r"\s*\d+\s*:")


def settings_of(roots: Roots, given: Mapping[str, Any], preset: str | None) -> Settings:
    """Settings as a client gave them, over those of a preset. Raises Refusal with the engine's sentence."""
    try:
        json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):  # half characters, numbers that are none
        raise Refusal(400, "bad_request", "settings: a value cannot be written as JSON", field="settings") from None
    try:
        settings = Settings.from_dict(with_preset({**given, "preset_look": preset or None}))
    except LimpidError as error:
        raise refused(error, "settings") from None
    for name in PLACES:  # who runs the server decides that, not who asks it
        if getattr(settings, name) != getattr(Settings(), name):
            raise Refusal(
                422, "settings", f"{name}: a job cannot choose the machines that compute it", field="settings"
            )
    for name in _FILE_SETTINGS:
        _check_file(roots, name, getattr(settings, name))
    return settings


def _check_file(roots: Roots, name: str, value: str | None) -> None:
    """A path among the settings; names on the hub and words of a prompt are none."""
    if value is None or (name == "prompts" and _TEXT_OF_PROMPTS.match(value)):
        return
    is_path = os.path.isabs(value) or value.startswith((".", "~")) or "\\" in value  # noqa: PTH117
    if is_path or name in ("weights", "prompts"):
        roots.existing(value, f"settings.{name}")


def wanted_job(
    roots: Roots,
    source: str,
    output: str | None,
    settings: Settings,
    *,
    preset: str | None = None,
    overwrite: bool = False,
    kind: JobKind = "upscale",
    watch: str | None = None,
) -> Wanted:
    """A job whose input is there and whose output can be written, as far as names tell. Raises Refusal."""
    path = roots.existing(source, "input")
    if not path.is_dir() and kind_of_name(path) is None:
        raise Refusal(422, "input", f"{path} has the name of neither a video nor an image", field="input")
    try:
        target = output_path(roots, path, output, settings)
        check_target(path, target, overwrite=overwrite)
    except LimpidError as error:
        raise refused(error) from None
    except OSError as error:
        raise Refusal(422, "output", f"{output or path}: {error.strerror or error}", field="output") from None
    values = chosen(settings)
    return Wanted(
        input=path, output=target, settings=values, preset=preset, overwrite=overwrite, kind=kind, watch=watch
    )


def output_path(roots: Roots, source: Path, output: str | None, settings: Settings) -> Path:
    """Where the result goes: beside the input, into a folder under its usual name, or as named."""
    usual = default_output(source, settings, kind=kind_of(source))
    if output is None:
        return roots.inside(str(usual), "output")
    path = roots.inside(output, "output")
    if output.endswith(("/", os.sep)) or (path.is_dir() and not is_result(path)):
        return roots.inside(str(path / usual.name), "output")
    if path in roots.folders:
        raise Refusal(
            422, "output", f"{path} is one of the folders that may be used, no name for a result", field="output"
        )
    return path


def check_target(source: Path, target: Path, *, overwrite: bool) -> None:
    """Raises LimpidError when a result cannot be written under that name."""
    places = Places(source=source, output=target, work=home_of(target))
    check_name(places.sidecar)
    check_apart(target, source)
    for path in (target, places.sidecar):
        check_kind(path)
    refuse_taken(places, overwrite=overwrite)
    check_folder(target.parent)
