"""``<output>.limpid.json``: what made an output, so that it can be understood and made again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from limpid.bounded import cut, json_object, quoted, read_json, text
from limpid.machine_options import PLACES
from limpid.settings import Settings
from limpid.types import InputError, SettingsError

_FORMAT = 1
MAX_BYTES = 16 << 20
_FILES = ("weights", "caption_model")
"""Settings that may name a file or folder."""
_WHERE = PLACES
"""Where an output was computed; a sidecar may come from anyone, and must not send a film to a cluster of theirs."""


def sidecar_text(*, source: Path, settings: Settings, resolved: Mapping[str, Any], **facts: Any) -> str:
    """The contents of the sidecar of an output.

    Args:
        settings: as asked for, None where Limpid chose.
        resolved: what Limpid chose, by the names of `Settings`.
        facts: everything else that is known; must be JSON values.
    """
    values = {
        "limpid_sidecar": _FORMAT,
        "input": str(source),
        "settings": settings.to_dict(),
        "resolved": dict(resolved),
    }
    return json.dumps({**values, **facts}, indent=2, default=str) + "\n"


def from_sidecar(path: str | Path, *, trust: bool = False) -> tuple[Path, Settings]:
    """The input of an output and the settings that reproduce it, with every choice that Limpid made for it fixed.

    The input is looked for where it was, then beside the sidecar. A sidecar may come from anyone: files that it names
    outside of its own folder are refused unless ``trust`` says that they were looked at. Raises InputError or
    SettingsError.
    """
    path = Path(path)
    try:
        values = json_object(_read(path), ("input", "settings", "resolved"))
        source = Path(text(values["input"]))
        chosen = {**json_object(values["settings"]), **json_object(values["resolved"])}
        chosen = {name: value for name, value in chosen.items() if name not in _WHERE}
    except ValueError as error:
        raise InputError(f"{path} is no sidecar of Limpid: {error}") from None
    beside = path.parent / source.name
    if not _is_there(source) and source.name and _is_there(beside):
        source = beside
    if not trust:
        _refuse_outside(path, {"input": str(source), **{name: chosen.get(name) for name in _FILES}}, chosen)
    try:
        return source, Settings.from_dict(chosen)
    except SettingsError as error:
        raise SettingsError(f"{path} does not fit this version of Limpid: {error}") from None


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _refuse_outside(path: Path, named: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
    """Raises InputError for what a sidecar names that is not in its own folder."""
    found = [f"{name} {cut(str(value), 300)}" for name, value in _outside(path.parent, named)]
    prompts = chosen.get("prompts")
    if isinstance(prompts, str) and not re.match(r"\s*\d+\s*:", prompts):
        found.append(f"prompts {cut(prompts, 300)}")
    if found:
        raise InputError(
            f"{path} names what is not in its folder: {', '.join(found)}; look at it, then say --trust-sidecar"
        )


def _outside(folder: Path, named: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    root = folder.resolve()
    for name, value in named.items():
        if isinstance(value, str) and not _resolved(value).is_relative_to(root):
            yield name, value


def _resolved(name: str) -> Path:
    try:
        return Path(name).resolve()
    except (OSError, ValueError, RuntimeError):
        return Path("/")  # a name that cannot be is in no folder


def _read(path: Path) -> dict[str, Any]:
    try:
        values = read_json(path, MAX_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(
            f"{path} is no sidecar of Limpid (those are called <output>.limpid.json): it is not JSON that can be used "
            f"({cut(str(error))})"
        ) from None
    if not isinstance(values, dict) or values.get("limpid_sidecar") != _FORMAT:
        raise InputError(f"{path} is no sidecar of Limpid; those are called <output>.limpid.json")
    return values


def peek(path: Path) -> dict[str, Any] | None:
    """The values of a sidecar, None when there is none."""
    try:
        return _read(path)
    except InputError:
        return None


def is_sidecar(path: Path) -> bool:
    return peek(path) is not None


def made_from(path: Path) -> str | None:
    """The input that a sidecar says its output was made from, for a sentence."""
    values = peek(path)
    return quoted(values.get("input"), 300) if values is not None else None
