"""What can be typed for an argument of a command: words, files or folders. Shell completion asks for it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import Literal

from limpid.options.declare import declared
from limpid.settings import Settings

METHOD_NAMES = (
    *("small", "tiny", "image", "mgld-vsr", "dc-vsr", "upscale-a-video", "diffvsr", "stream-diffvsr", "lavie-vsr"),
    "sd-x4-upscaler",
)
"""The keys of `limpid.methods.METHODS`, which would load PyTorch; a test compares them."""

_DEVICES = ("auto", "cpu", "cuda", "mps", "vulkan")
_FILES = frozenset({"FILE", "PATH", "INPUT", "OUTPUT", "SOURCE", "DATA", "PAGE", "MODEL"})
_FOLDERS = frozenset({"DIR", "FOLDER", "RUN", "OUT"})


def words_for(prog: str, action: argparse.Action) -> tuple[str, ...]:
    """The words that an argument can be, as far as they can be listed. ``prog``: its command, "limpid upscale"."""
    if action.choices is not None:
        return tuple(map(str, action.choices))
    names = _NAMES_IN.get(prog.split()[1], {}).get(action.dest) or _NAMES.get(action.dest)
    return tuple(names()) if names else _in_metavar(action)


def paths_for(prog: str, action: argparse.Action) -> Literal["file", "directory"] | None:
    """What kind of path an argument is; None for one that is no path."""
    metavar = str(action.metavar or "")
    if action.nargs == 0 or words_for(prog, action):
        return None
    if metavar in _FOLDERS:
        return "directory"
    return "file" if metavar in _FILES or (prog, action.dest) == ("limpid queue", "names") else None


def _in_metavar(action: argparse.Action) -> tuple[str, ...]:
    """``float32|bfloat16`` names words, ``auto|N|NAMES`` one of them."""
    parts = str(action.metavar or "").split("|")
    return tuple(part for part in parts if not part.isupper()) if len(parts) > 1 else ()


def _methods() -> Iterable[str]:
    return dict.fromkeys((*METHOD_NAMES, *(entry.name for entry in entry_points(group="limpid.methods"))))


def _presets() -> Iterable[str]:
    from limpid.presets import LOOKS, list_presets

    return (*LOOKS, *(preset.name for preset in list_presets()))


def _pipelines() -> Iterable[str]:
    from limpid.degrade.pipelines import PIPELINES

    return PIPELINES


def _recipes() -> Iterable[str]:
    from limpid.train.recipes import RECIPES

    return RECIPES


def _datasets() -> Iterable[str]:
    from limpid.bench.datasets import DATASETS

    return DATASETS


def _weights() -> Iterable[str]:
    from limpid.checkpoints.manifest import ENTRIES

    return ENTRIES


def _queue_actions() -> Iterable[str]:
    from limpid.cli.queue import ACTIONS

    return ACTIONS


_Names = dict[str, Callable[[], Iterable[str]]]
_NAMES: _Names = {
    "method": _methods,
    "preset_look": _presets,
    "pipeline": _pipelines,
    "degradation": _pipelines,
    "recipe": _recipes,
    "dataset": _datasets,
    "device": lambda: _DEVICES,
}
_NAMES_IN: dict[str, _Names] = {
    "weights": {"name": _weights, "names": _weights},
    "presets": {"name": _presets},
    "queue": {"action": _queue_actions},
}

SETTING_NAMES = frozenset(row.name for row in declared(Settings) if row.option.shown)
"""Options that some commands take without listing them in their help."""
