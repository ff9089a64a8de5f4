"""Where the clips of a stage come from, as the loop sees it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from limpid.engine.files import digest_of
from limpid.train.learner import ClipBatch


class Source(Protocol):
    """Clips by number: the same number gives the same clip, whoever asks and whenever."""

    @property
    def fingerprint(self) -> str:
        """Changes with what the clips are made from."""
        ...

    def batches(self, numbers: Iterable[Sequence[int]]) -> Iterator[ClipBatch]:
        """Batches of these clips on the CPU, in order."""
        ...


def to_device(batch: ClipBatch, device: torch.device) -> ClipBatch:
    """The same batch with its tensors on ``device``."""
    moved: dict[str, Any] = {
        field.name: value.to(device, non_blocking=True)
        for field in dataclasses.fields(batch)
        if isinstance(value := getattr(batch, field.name), Tensor)
    }
    return dataclasses.replace(batch, **moved)


def folder_fingerprint(folder: Path) -> str:
    """Hash of names and sizes of all files below a folder (or of one file): cheap, and enough to notice a change."""
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else [folder]
    named: list[Any] = [[str(path.relative_to(folder.parent)), path.stat().st_size] for path in files]
    return digest_of(named)
