"""Noise schedules as ``scheduler_config.json`` states them.

Upscale-A-Video follows its file. DiffVSR and LaVie were trained with linear betas whatever their file says (it is that
of the SD x4 upscaler, ``scaled_linear``); the schedule by which LR frames are noised is as configured for all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from limpid.diffusion.schedules import Betas, BetaSchedule
from limpid.types import WeightsError

FILE = "scheduler_config.json"
SHAPES: dict[str, BetaSchedule] = {"linear": "linear", "scaled_linear": "scaled_linear"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """A noise schedule's configuration besides the betas. Missing keys have the values that diffusers gives them."""

    num_train_timesteps: int = 1000
    steps_offset: int = 0
    """Timesteps added to every one of the ``leading`` spacing."""
    set_alpha_to_one: bool = True
    """Whether the last step ends in the clean latent, or at the noise of timestep 0."""
    prediction_type: str = "epsilon"
    timestep_spacing: str = "leading"
    """``trailing`` for weights that were trained to take few steps."""

    @property
    def spacing(self) -> Literal["leading", "trailing"]:
        """The spacing in the words of `limpid.diffusion.schedules.vp_steps`; ``leading`` is the published way."""
        return "trailing" if self.timestep_spacing == "trailing" else "leading"

    @property
    def final_alpha(self) -> Literal["one", "first"]:
        """The end of the last step in the words of `limpid.diffusion.schedules.vp_steps`."""
        return "one" if self.set_alpha_to_one else "first"


def read_schedule(folder: Path) -> ScheduleConfig:
    """The configuration in ``folder/scheduler_config.json``. Raises WeightsError."""
    values = _read(folder)
    known = {name: values[name] for name in ScheduleConfig.__dataclass_fields__ if name in values}
    for name, value in known.items():
        wanted = type(ScheduleConfig.__dataclass_fields__[name].default)
        if type(value) is not wanted:
            raise WeightsError(f"{folder / FILE}: {name} is {value!r}")
    return ScheduleConfig(**known)


def rewrite_schedule(source: Path, target: Path, **changes: Any) -> None:
    """A copy of the config in the new folder ``target``, with other values. Raises WeightsError."""
    target.mkdir(parents=True)
    (target / FILE).write_text(json.dumps({**_read(source), **changes}, indent=2) + "\n", encoding="utf-8")


def read_betas(folder: Path, *, force_linear: bool) -> Betas:
    """Betas from ``folder/scheduler_config.json``; ``force_linear`` takes its end points only.

    Raises WeightsError: the file is missing or damaged, or has a schedule that is not known here.
    """
    values = _read(folder)
    if values.get("trained_betas") is not None:
        raise WeightsError(f"{folder / FILE}: betas given one by one (trained_betas) are not supported")
    shape = "linear" if force_linear else values.get("beta_schedule", "linear")
    if shape not in SHAPES:
        raise WeightsError(f"{folder / FILE}: beta_schedule {shape!r} is not supported; {' or '.join(SHAPES)}")
    count = read_schedule(folder).num_train_timesteps
    start, end = (_number(folder, values, name, given) for name, given in (("beta_start", 1e-4), ("beta_end", 0.02)))
    if not (0 < start <= end < 1 and count >= 1):
        raise WeightsError(f"{folder / FILE}: betas from {start} to {end} in {count} steps are no schedule")
    return Betas(start=start, end=end, shape=SHAPES[shape], count=count)


def _number(folder: Path, values: dict[str, Any], name: str, default: float) -> float:
    value = values.get(name, default)
    if not isinstance(value, (int, float)):
        raise WeightsError(f"{folder / FILE}: {name} is {value!r}")
    return float(value)


def _read(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise WeightsError(f"{path} is damaged: {error}") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path} is damaged: it is no JSON object")
    return values
