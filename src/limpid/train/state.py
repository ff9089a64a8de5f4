"""All that is needed to go on with a stage, written so that a crash at any moment leaves a whole one.

``RUN/state/NNN/tensors.safetensors`` has weights, optimizers and averages; ``RUN/state.json`` says which folder counts.
The file is replaced in one piece after the folder is complete, and older folders are removed after that.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.checkpoints.tensor_files import SafetensorsFile, write_safetensors
from limpid.durable.files import fsync_path, remove, write_atomic
from limpid.train.step import Trainer
from limpid.train.world import like, whole
from limpid.types import WeightsError

POINTER = "state.json"
FOLDER = "state"
TENSORS = "tensors.safetensors"


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far a run is."""

    stage: int
    """Number of the stage, from 0."""
    step: int
    """Steps of it that are done; clips are ``step`` times the batch."""
    seconds: float = 0.0
    """Spent on this stage so far."""


def read_position(run: Path) -> Position | None:
    """Where a run stopped; None where nothing has been saved yet."""
    values = _pointer(run)
    return None if values is None else Position(**{f.name: values[f.name] for f in dataclasses.fields(Position)})


def _pointer(run: Path) -> dict[str, Any] | None:
    path = run / POINTER
    if not path.exists():
        return None
    values: dict[str, Any] = json.loads(path.read_text())
    return values


def save_state(run: Path, position: Position, trainer: Trainer) -> None:
    """Write a new state and make it the one that counts. All processes call this, the first one writes."""
    name = f"{position.stage:02d}-{position.step:08d}"
    there = (_pointer(run) or {}).get("folder") == name
    trainer.world.wait()
    if there:
        return  # the same step again is the same state, and the one that counts is never overwritten
    tensors = state_tensors(trainer, gather=True)
    if trainer.world.rank:
        return
    folder = run / FOLDER / name
    remove(folder)
    folder.mkdir(parents=True)
    write_safetensors(folder / TENSORS, tensors)
    fsync_path(folder / TENSORS)
    fsync_path(folder)
    write_atomic(run / POINTER, json.dumps({**dataclasses.asdict(position), "folder": name}, indent=2))
    for other in (run / FOLDER).iterdir():
        if other.name != name:
            remove(other)


def state_tensors(trainer: Trainer, *, gather: bool) -> dict[str, Tensor]:
    """``weights/PLAYER/...`` (what learns), ``buffers/PLAYER/...``, ``optimizer/PLAYER/KEY/...``, ``average/...``.

    Args:
        gather: whole tensors on the CPU, in the first process only; all processes must call. Else as they are.
    """
    found: dict[str, Tensor] = {}
    for player in trainer.players:
        found |= {f"weights/{player.name}/{name}": p for name, p in player.parameters.items()}
        found |= {f"buffers/{player.name}/{name}": b for name, b in player.network.named_buffers()}
        for name, parameter in player.parameters.items():
            for key, value in player.optimizer.state.get(parameter, {}).items():
                found[f"optimizer/{player.name}/{key}/{name}"] = value
    if trainer.average is not None:
        found |= {f"average/{name}": value for name, value in trainer.average.values.items()}
    if not gather:
        return found
    kept: dict[str, Tensor] = {}
    for name, tensor in found.items():
        gathered = whole(tensor)
        if trainer.world.rank == 0:
            kept[name] = gathered.cpu()
    return kept


def load_state(run: Path, trainer: Trainer) -> None:
    """Put the saved state into networks, optimizers and average. Raises WeightsError when it is not of this stage."""
    pointer = _pointer(run) or {}
    path = run / FOLDER / str(pointer.get("folder")) / TENSORS
    tensors = SafetensorsFile(path)
    _check_names(path, tensors, trainer)
    with torch.no_grad():
        for player in trainer.players:
            for name, parameter in player.parameters.items():
                parameter.copy_(like(tensors[f"weights/{player.name}/{name}"], parameter))
            for name, buffer in player.network.named_buffers():
                buffer.copy_(tensors[f"buffers/{player.name}/{name}"])
            _load_optimizer(player.name, player.parameters, player.optimizer, tensors)
        if trainer.average is not None:
            for name, value in trainer.average.values.items():
                value.copy_(like(tensors[f"average/{name}"], value))


def _load_optimizer(
    player: str, parameters: Mapping[str, Any], optimizer: torch.optim.Optimizer, tensors: SafetensorsFile
) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    numbers = {name: number for number, name in enumerate(parameters)}
    start = f"optimizer/{player}/"
    for name in tensors:
        if name.startswith(start):
            key, _, parameter = name.removeprefix(start).partition("/")
            value = like(tensors[name].clone(), parameters[parameter])
            state.setdefault(numbers[parameter], {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _check_names(path: Path, tensors: SafetensorsFile, trainer: Trainer) -> None:
    wanted = {name for name in state_tensors(trainer, gather=False) if not name.startswith("optimizer/")}
    there = {name for name in tensors if not name.startswith("optimizer/")}
    if wanted != there:
        odd = ", ".join(sorted(wanted ^ there)[:3])
        raise WeightsError(
            f"{path} is not the state of these networks: {odd} is missing or too much; use another --out"
        )
