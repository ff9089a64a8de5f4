"""Limpid's options as widgets of ComfyUI, made from the JSON Schema of its settings, and back again."""

import json
from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from limpid.methods import method_names
from limpid.presets import LOOKS, list_presets
from limpid.settings import schema
from limpid.types import SettingsError

PLAIN = ("method", "scale", "height", "detail", "steps", "seed", "prompt")
ADVANCED = ("negative_prompt", "weights", "tile_px", "dtype", "device")
"""Options with a widget of their own; all others go into the text `MORE`."""
LOOK, MORE = "preset_look", "more"
NONE = "none"
"""Stands for no preset."""


def inputs_of_settings() -> list[io.Input]:
    """Widgets, those first that most people need."""
    properties = schema()["properties"]
    looks = [NONE, *LOOKS, *(preset.name for preset in list_presets())]
    method, *plain = (_widget(name, properties[name]) for name in PLAIN)
    return [
        method,
        io.Combo.Input(LOOK, options=looks, default=NONE, optional=True, tooltip="options by content"),
        *plain,
        *(_widget(name, properties[name], advanced=True) for name in ADVANCED),
        io.String.Input(
            MORE,
            default="{}",
            multiline=True,
            optional=True,
            tooltip='other options of Limpid, as JSON: {"color": "wavelet", "crf": 18}; they win over the widgets',
            extra_dict={"advanced": True},
        ),
    ]


def chosen(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options as `limpid.Upscaler` takes them, from the values of widgets. Raises SettingsError."""
    properties = schema()["properties"]
    named = {name: values[name] for name in (*PLAIN, *ADVANCED) if name in values}
    picked = {name: value for name, value in named.items() if value != _unset(properties[name])}
    look = values.get(LOOK, NONE)
    return {**picked, **({} if look == NONE else {LOOK: look}), **_more(values.get(MORE, ""))}


def _more(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text.strip() or "{}")
    except ValueError as error:
        raise SettingsError(f'{MORE} is no JSON ({error}); write it like {{"color": "wavelet"}}') from None
    if not isinstance(options, dict):
        raise SettingsError(f'{MORE} must be an object of JSON, like {{"color": "wavelet"}}')
    return options


def _widget(name: str, about: Mapping[str, Any], *, advanced: bool = False) -> io.Input:
    """One property of the schema as a widget, whose first value leaves the choice to Limpid."""
    kind, unset = _kind(about), _unset(about)
    shared: dict[str, Any] = {
        "default": unset,
        "optional": True,
        "tooltip": about["description"],
        "extra_dict": {"advanced": True} if advanced else None,
    }
    if kind in ("integer", "number"):
        shared["tooltip"] += f"; {unset:g}: as Limpid chooses" if _optional(about) else ""
        limits = {"min": unset if _optional(about) else about["minimum"], "max": about.get("maximum")}
        if kind == "integer":
            return io.Int.Input(name, **limits, **shared)
        return io.Float.Input(name, step=0.05, **limits, **shared)
    choices = method_names() if name == "method" else about.get("enum")
    if choices:
        return io.Combo.Input(name, options=list(choices), **shared)
    return io.String.Input(name, multiline=name.endswith("prompt"), **shared)


def _unset(about: Mapping[str, Any]) -> Any:
    """What a widget shows that leaves an option to Limpid: its default, or a number that is not allowed: 0, else -1."""
    if not _optional(about):
        return about["default"]
    if _kind(about) == "string":
        return ""
    unset = 0 if "exclusiveMinimum" in about or about["minimum"] > 0 else -1
    return float(unset) if _kind(about) == "number" else unset


def _optional(about: Mapping[str, Any]) -> bool:
    return isinstance(about["type"], list)


def _kind(about: Mapping[str, Any]) -> str:
    kind = about["type"]
    return str(kind[0] if isinstance(kind, list) else kind)
