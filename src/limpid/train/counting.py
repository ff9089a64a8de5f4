"""Which clips a process sees in which step: batch k of a stage is clips [k batch, (k + 1) batch), ranks take slices."""

from __future__ import annotations

from collections.abc import Iterator

from limpid.train.stage import Stage
from limpid.types import SettingsError


def clips_per_process(stage: Stage, processes: int) -> int:
    """Clips of a step that one process computes. Raises SettingsError when the batch cannot be dealt out evenly."""
    if stage.batch % processes:
        fits = max(stage.batch // processes, 1) * processes
        raise SettingsError(
            f"stage {stage.name}: a batch of {stage.batch} clips cannot be shared evenly by {processes} processes; "
            f"use --batch {fits} or another number of processes"
        )
    return stage.batch // processes


def step_numbers(stage: Stage, step: int, *, rank: int = 0, processes: int = 1) -> list[tuple[int, ...]]:
    """Numbers of the clips of one step and process, one tuple per forward pass; the last may be shorter."""
    own = clips_per_process(stage, processes)
    first, size = step * stage.batch + rank * own, min(stage.micro_batch or own, own)
    return [tuple(range(at, min(at + size, first + own))) for at in range(first, first + own, size)]


def numbers_from(stage: Stage, step: int, *, rank: int = 0, processes: int = 1) -> Iterator[tuple[int, ...]]:
    """Those of ``step`` and all steps after it, in order."""
    for k in range(step, stage.steps):
        yield from step_numbers(stage, k, rank=rank, processes=processes)
