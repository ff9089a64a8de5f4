"""``<output>.limpid.json``: what made an output, so that it can be understood and made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpid.durable.files import write_atomic
from limpid.settings import Settings
from limpid.types import InputError, SettingsError

FORMAT = 1


def write_sidecar(path: Path, *, source: Path, settings: Settings, resolved: Mapping[str, Any], **facts: Any) -> None:
    """Write the sidecar of an output, whole or not at all.

    Args:
        settings: as asked for, None where Limpid chose.
        resolved: what Limpid chose, by the names of `Settings`.
        facts: everything else that is known; must be JSON values.
    """
    values = {
        "limpid_sidecar": FORMAT,
        "input": str(source),
        "settings": settings.to_dict(),
        "resolved": dict(resolved),
    }
    write_atomic(path, json.dumps({**values, **facts}, indent=2, default=str) + "\n")


def from_sidecar(path: str | Path) -> tuple[Path, Settings]:
    """The input of an output and the settings that reproduce it, with every choice that Limpid made for it fixed.

    The input is looked for where it was, then beside the sidecar. Raises InputError or SettingsError.
    """
    path = Path(path)
    values = _read(path)
    try:
        source, chosen = Path(values["input"]), {**values["settings"], **values["resolved"]}
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is no sidecar of Limpid: {error} is missing") from None
    if not source.exists() and (path.parent / source.name).exists():
        source = path.parent / source.name
    try:
        return source, Settings.from_dict(chosen)
    except SettingsError as error:
        raise SettingsError(f"{path} does not fit this version of Limpid: {error}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise InputError(f"{path} is no sidecar of Limpid: it is not JSON") from None
    if not isinstance(values, dict) or values.get("limpid_sidecar") != FORMAT:
        raise InputError(f"{path} is no sidecar of Limpid; those are called <output>.limpid.json")
    return values
