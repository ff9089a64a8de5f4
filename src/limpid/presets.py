"""Settings under a name: those that come with Limpid, and a user's own, for command line and page alike.

A preset is plain values of `limpid.settings.Settings`; whatever is said besides wins over it. A user's own are files,
``~/.config/limpid/presets/NAME.json`` (or ``$LIMPID_PRESETS``), with ``{"limpid_preset": 1, "description": "...",
"settings": {...}}``.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpid.bounded import json_object, meant, quoted, read_json, text
from limpid.durable.files import output_error, write_atomic
from limpid.settings import Settings
from limpid.types import InputError, LimpidError, SettingsError

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


LOOKS = {
    look.name: look
    for look in (
        Preset(
            name="film",
            description="films and series from discs or good streams: clean enough for more detail",
            settings={"detail": 0.9},
        ),
        Preset(
            name="phone",
            description="telephones and small cameras: never interlaced; a little less detail, since it sharpens noise",
            settings={"detail": 0.5, "deinterlace": "off"},
        ),
        Preset(
            name="animation",
            description="drawn and computer animation: the sharpest lines, and bits for flat colours",
            settings={"detail": 1.0, "crf": 14},
        ),
        Preset(
            name="old-tape",
            description="tapes as they were captured: all frames are two fields, and detail would be noise",
            settings={"detail": 0.25, "deinterlace": "on"},
        ),
        Preset(
            name="screen",
            description="screens, slides and games: crisp edges and text, never interlaced",
            settings={"detail": 1.0, "deinterlace": "off", "crf": 12},
        ),
    )
}
"""Presets that come with Limpid, by content. Starting points by eye: nothing of them was measured."""


def with_preset(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Options with those of the preset that ``preset_look`` names; the others win. Raises SettingsError, InputError."""
    given = dict(changes)
    name = given.pop("preset_look", None)
    if name is None:
        return given
    return {**merged(load_preset(name).settings, given), "preset_name": name}


def merged(preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preset with what was given besides; a size takes the place of the other way to say it."""
    values = {**preset, **given}
    for one, other in (("height", "scale"), ("scale", "height")):
        if given.get(one) is not None and other not in given:
            values.pop(other, None)
    return values


def set_by_preset(settings: Settings) -> dict[str, Any]:
    """Which of the settings are as their preset has them; nothing without one, or when it is not here any more."""
    try:
        preset = load_preset(settings.preset_name) if settings.preset_name is not None else Preset(name="none")
    except LimpidError:
        return {}
    values, wanted = settings.to_dict(), Settings.from_dict(preset.settings).to_dict()
    return {name: values[name] for name in preset.settings if values[name] == wanted[name]}


def without_files(settings: Settings) -> Settings:
    """The settings without what their preset says of files: a look is for pictures as well, which have no encoder."""
    about_files = set_by_preset(settings).keys() & settings.given("files").keys()
    defaults = Settings()
    return settings.replace(**{name: getattr(defaults, name) for name in about_files})


@contextmanager
def naming_preset(settings: Settings) -> Iterator[None]:
    """What is refused in the block is said with the preset that set it, where one did."""
    try:
        yield
    except SettingsError as error:
        words = set(re.findall(r"\w+", str(error)))
        if not words & set_by_preset(settings).keys():
            raise
        raise SettingsError(
            f"the preset {settings.preset_name} does not fit here: {error}; take another preset, or say its options "
            "one by one"
        ) from error


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
    if name in LOOKS:
        return LOOKS[name]
    path = _path_of(name, folder)
    try:
        return _parsed(name, read_json(path, _MOST_BYTES))
    except FileNotFoundError:
        raise _none_such(name, path.parent) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no preset: {error}") from None


def list_presets(folder: Path | None = None) -> list[Preset]:
    """All presets of the user that can be used, by name."""
    found = []
    for path in sorted((folder or presets_folder()).glob("*.json")):
        try:
            found.append(_parsed(path.stem, read_json(path, _MOST_BYTES)))
        except (OSError, ValueError, SettingsError):
            continue  # of another version, or made by hand; it is told when it is asked for by its name
    return found


def save_preset(preset: Preset, folder: Path | None = None) -> None:
    """Write a preset, over one of the same name. Raises SettingsError for a name that is taken, OutputError."""
    _refuse_ours(preset.name)
    path = _path_of(preset.name, folder)
    settings = {name: value for name, value in preset.settings.items() if name != "preset_name"}
    values = {"limpid_preset": _FORMAT, "description": preset.description, "settings": settings}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(values, indent=2) + "\n")
    except OSError as error:
        raise output_error(path, error) from error


def delete_preset(name: str, folder: Path | None = None) -> None:
    """Remove a preset. Raises SettingsError when there is none."""
    _refuse_ours(name)
    path = _path_of(name, folder)
    try:
        path.unlink()
    except FileNotFoundError:
        raise _none_such(name, path.parent) from None
    except OSError as error:
        raise output_error(path, error) from error


def _none_such(name: str, folder: Path) -> SettingsError:
    known = [*LOOKS, *(preset.name for preset in list_presets(folder))]
    near = meant(name, known) or f"; there are {', '.join(known)}"
    return SettingsError(f"there is no preset {quoted(name)} in {folder}{near}")


def _refuse_ours(name: str) -> None:
    if name in LOOKS:
        raise SettingsError(f"the preset {name} comes with Limpid and stays as it is; take another name")


def _path_of(name: str, folder: Path | None) -> Path:
    return (folder or presets_folder()) / f"{Preset(name=name).name}.json"


def _parsed(name: str, value: Any) -> Preset:
    values = json_object(value, ("limpid_preset", "settings"))
    if values["limpid_preset"] != _FORMAT:
        raise ValueError(f"its format is {quoted(values['limpid_preset'])}, not {_FORMAT}")
    return Preset(name=name, settings=json_object(values["settings"]), description=text(values.get("description", "")))
