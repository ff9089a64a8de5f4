"""Where the clips of a stage come from, as the loop sees it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from limpid.train.learner import ClipBatch
from limpid.train.stage import ClipSpec

if TYPE_CHECKING:
    from limpid.train.data.clips import TrainingClips


class BatchSource(Protocol):
    """Clips by number: the same number gives the same clip, whoever asks and whenever."""

    @property
    def fingerprint(self) -> str:
        """Changes with what the clips are made from."""
        ...

    def batches(self, numbers: Iterable[Sequence[int]]) -> Iterator[ClipBatch]:
        """Batches of these clips on the CPU, in order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Clips of a folder, made by worker processes (see `limpid.train.data`)."""

    clips: TrainingClips
    workers: int

    @property
    def fingerprint(self) -> str:
        return self.clips.fingerprint

    def batches(self, numbers: Iterable[Sequence[int]]) -> Iterator[ClipBatch]:
        from limpid.train.data import batches

        return batches(self.clips, numbers, workers=self.workers)


def open_folder(
    folder: Path, spec: ClipSpec, *, seed: int, workers: int | None = None, keep_out: Collection[str] = ()
) -> Folder:
    """Clips of a folder with the processes that make them, as `limpid.train.data.open_clips` finds them; ``workers``
    None: one for each processor but one."""
    from limpid.train.data import open_clips

    count = max(1, (os.cpu_count() or 2) - 1) if workers is None else workers
    return Folder(clips=open_clips(folder, spec, seed=seed, keep_out=keep_out), workers=count)


def to_device(batch: ClipBatch, device: torch.device) -> ClipBatch:
    """A batch with its tensors on ``device``."""
    moved: dict[str, Any] = {
        field.name: value.to(device, non_blocking=True)
        for field in dataclasses.fields(batch)
        if isinstance(value := getattr(batch, field.name), Tensor)
    }
    return dataclasses.replace(batch, **moved)
