"""A loss or gradient that is no number: what was being computed is kept, and a sentence says where."""

from __future__ import annotations

import json
from pathlib import Path

from limpid.checkpoints.tensor_files import write_safetensors
from limpid.durable.files import write_atomic
from limpid.train.learner import ClipBatch
from limpid.train.stage import Stage
from limpid.train.step import NotFinite
from limpid.types import LimpidError


class DivergedError(LimpidError):
    """Training came to NaN or infinite numbers."""


def diverged(run: Path, stage: Stage, step: int, rank: int, found: NotFinite) -> DivergedError:
    """Writes the batch and the numbers of this process beside the run; the error to raise."""
    name = f"not-finite-{stage.name.replace('/', '-')}-{step + 1}" + (f"-{rank}" if rank else "")
    run.mkdir(parents=True, exist_ok=True)
    if found.batch is not None:
        _write_batch(run / f"{name}.safetensors", found.batch)
    numbers = {
        "stage": stage.name,
        "step": step + 1,
        "player": found.player,
        "terms": {key: repr(value) for key, value in found.outcome.terms.items()},
        "gradient_norms": {key: repr(value) for key, value in found.outcome.norms.items()},
        "clips": [] if found.batch is None else list(found.batch.numbers),
        "keys": [] if found.batch is None else list(found.batch.keys),
    }
    write_atomic(run / f"{name}.json", json.dumps(numbers, indent=2) + "\n")
    return DivergedError(
        f"stage {stage.name}, step {step + 1}: the loss or gradient of {found.player} is not finite; the batch and all "
        f"numbers are in {run / name}.json and .safetensors; the last saved state is kept: try a lower rate or float32"
    )


def _write_batch(path: Path, batch: ClipBatch) -> None:
    names = ("hr", "lr", "flow_forward", "flow_backward", "teacher")
    tensors = {name: tensor for name in names if (tensor := getattr(batch, name)) is not None}
    write_safetensors(path, {name: tensor.cpu() for name, tensor in tensors.items()})
