"""Named settings of a user: one JSON file each in the user's configuration folder, for command line and page alike.

``~/.config/limpid/presets/NAME.json`` (or ``$LIMPID_PRESETS``) holds ``{"limpid_preset": 1, "description": "...",
"settings": {...}}`` with the names of `limpid.settings.Settings`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpid.bounded import json_object, quoted, read_json, text
from limpid.durable.files import output_error, write_atomic
from limpid.settings import Settings
from limpid.types import InputError, SettingsError

_FORMAT = 1
_NAME = re.compile(r"\w[\w .-]{0,62}[\w-]|\w")
_MOST_BYTES = 1 << 20
_LONGEST_DESCRIPTION = 500


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings under a name; ``settings`` holds what differs from the defaults, as JSON values."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SettingsError(
                f"{quoted(self.name)} is no name for a preset; use up to 64 letters, digits, spaces, and _ - . inside"
            )
        if len(self.description) > _LONGEST_DESCRIPTION:
            raise SettingsError(f"the description of a preset has at most {_LONGEST_DESCRIPTION} characters")
        Settings.from_dict(self.settings)


def presets_folder() -> Path:
    """Where the presets of this user lie."""
    if named := os.environ.get("LIMPID_PRESETS"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming")) / "limpid" / "presets"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "limpid" / "presets"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "limpid" / "presets"


def load_preset(name: str, folder: Path | None = None) -> Preset:
    """A preset by its name. Raises SettingsError when there is none, InputError when its file cannot be used."""
    path = _path_of(name, folder)
    try:
        return _parsed(name, read_json(path, _MOST_BYTES))
    except FileNotFoundError:
        raise SettingsError(f"there is no preset {quoted(name)} in {path.parent}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no preset: {error}") from None


def list_presets(folder: Path | None = None) -> list[Preset]:
    """All presets that can be used, by name."""
    found = []
    for path in sorted((folder or presets_folder()).glob("*.json")):
        try:
            found.append(_parsed(path.stem, read_json(path, _MOST_BYTES)))
        except (OSError, ValueError, SettingsError):
            continue  # of another version, or made by hand; it is told when it is asked for by its name
    return found


def save_preset(preset: Preset, folder: Path | None = None) -> None:
    """Write a preset, over one of the same name. Raises OutputError."""
    path = _path_of(preset.name, folder)
    values = {"limpid_preset": _FORMAT, "description": preset.description, "settings": dict(preset.settings)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(values, indent=2) + "\n")
    except OSError as error:
        raise output_error(path, error) from error


def delete_preset(name: str, folder: Path | None = None) -> None:
    """Remove a preset. Raises SettingsError when there is none."""
    path = _path_of(name, folder)
    try:
        path.unlink()
    except FileNotFoundError:
        raise SettingsError(f"there is no preset {quoted(name)} in {path.parent}") from None
    except OSError as error:
        raise output_error(path, error) from error


def _path_of(name: str, folder: Path | None) -> Path:
    return (folder or presets_folder()) / f"{Preset(name=name).name}.json"


def _parsed(name: str, value: Any) -> Preset:
    values = json_object(value, ("limpid_preset", "settings"))
    if values["limpid_preset"] != _FORMAT:
        raise ValueError(f"its format is {quoted(values['limpid_preset'])}, not {_FORMAT}")
    return Preset(name=name, settings=json_object(values["settings"]), description=text(values.get("description", "")))
