"""What decides the result of a stage, as plain values; a run is gone on with only when they are the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpid.durable.files import folder_fingerprint
from limpid.runtimes.files import NcnnFiles
from limpid.train.stage import Stage
from limpid.types import SettingsError, WeightsError

FREE = {"micro_batch", "checkpoint_gradients", "source", "data"}
"""Fields of a stage that change memory, speed and rounding only, or whose content is looked at instead (data)."""
STORED_KINDS = {
    "DCVSRDenoising": "VideoDenoising",
    "MGLDVSRDenoising": "StructuredDenoising",
}
"""Classes that have another name in the records of trainings, which older runs must go on with: class -> record."""


def plain(value: Any) -> Any:
    """A value as JSON: dataclasses by their fields and kind, paths and everything unknown by their text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        kind = type(value).__name__
        return {"kind": STORED_KINDS.get(kind, kind), **fields}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path) or not callable(value):
        return str(value)
    return getattr(value, "__qualname__", type(value).__name__)


def stage_facts(recipe: str, stage: Stage, *, seed: int, data: str, start: str) -> dict[str, Any]:
    """Facts of one stage. ``data`` and ``start``: fingerprints of the clips and of the weights it begins with."""
    values = {name: value for name, value in plain(stage).items() if name not in FREE}
    return {"recipe": recipe, "stage": values, "seed": seed, "data": data, "start": start}


def weights_fingerprint(weights: Path) -> str:
    """What changes when the weights that a stage begins with are others; a network of ncnn is two files.

    Raises WeightsError when there are none.
    """
    if NcnnFiles.named_by(weights):
        return NcnnFiles.of(weights).digest()
    if not weights.exists():
        raise WeightsError(f"{weights}: there is no such file or folder with weights to start from")
    return folder_fingerprint(weights)


def check_same(then: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    """Raises SettingsError with the first difference in words."""
    for name, old, new in _differences(then, now, ""):
        raise SettingsError(
            f"{where} was begun with {name} {_short(old)}, and now it is {_short(new)}; "
            "go on with the same, or begin another run with --out"
        )


def _differences(then: Any, now: Any, name: str) -> list[tuple[str, Any, Any]]:
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        found = []
        for key in dict.fromkeys([*then, *now]):
            found += _differences(then.get(key), now.get(key), f"{name} {key}".strip())
        return found
    return [] if then == now else [(name, then, now)]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
