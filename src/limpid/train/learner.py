"""What the loop asks of an objective once its networks exist, and what it hands over: batches and random numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class ClipBatch:
    """Training clips on the device. ``b`` clips of ``t`` frames, RGB in [0, 1]."""

    numbers: tuple[int, ...]
    """Number of each clip in the stage, counted from 0 over all processes: with the seed it decides everything."""
    hr: Tensor
    """``b t 3 H W``"""
    lr: Tensor
    """``b t 3 H/scale W/scale``"""
    captions: tuple[str, ...]
    keys: tuple[str, ...]
    """Where each clip is from, for messages: file, first frame, crop."""
    flow_forward: Tensor | None = None
    """``b t-1 2 H W``: exact flow from each HR frame to the next, where it is known for all clips (camera motion)."""
    flow_backward: Tensor | None = None
    teacher: Tensor | None = None
    """``b t 3 H W``: what a teacher made of the LR side, where the stage's clips ask for it."""
    damages: tuple[str, ...] = ()
    """Name of the pipeline (`limpid.degrade.PIPELINES`) that each clip went through, one of them where a pipeline
    chooses between several; empty texts, or none at all, where it is not known."""

    @property
    def size(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class ClipRandom:
    """Random numbers of a batch: each clip has streams of its own, whatever it is batched with and wherever it runs."""

    seed: int
    numbers: tuple[int, ...]

    def normal(self, stream: str, shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
        """Standard normal, ``b *shape`` float32; drawn on the CPU. One stream name gives the same numbers again."""
        drawn = [torch.randn(tuple(shape), generator=self._generator(stream, number)) for number in self.numbers]
        return torch.stack(drawn).to(device)

    def uniform(self, stream: str, shape: Sequence[int] = (), device: torch.device | str = "cpu") -> Tensor:
        """Even in [0, 1), ``b *shape`` float32."""
        drawn = [torch.rand(tuple(shape), generator=self._generator(stream, number)) for number in self.numbers]
        return torch.stack(drawn).to(device)

    def integers(self, stream: str, low: int, high: int, device: torch.device | str = "cpu") -> Tensor:
        """Whole numbers in [low, high), ``b`` int64."""
        drawn = [torch.randint(low, high, (), generator=self._generator(stream, number)) for number in self.numbers]
        return torch.stack(drawn).to(device)

    def _generator(self, stream: str, number: int) -> torch.Generator:
        digest = hashlib.sha256(f"{self.seed} {number} {stream}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


class Learner(Protocol):
    """Networks that learn, and their losses. Networks that do not learn are the learner's own business."""

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """Networks with an optimizer each, in the order of their turns in a step; the first is the model."""
        ...

    def kinds(self) -> Mapping[str, Sequence[str]]:
        """Names of the model's parameters by kind of layer, each in exactly one. Other players learn as a whole."""
        ...

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        """The turn of a player: weighted terms, means over the batch, whose sum is minimised.

        Each clip must count the same whatever it is batched with, so that accumulation changes nothing.
        """
        ...

    def save(self, folder: Path) -> None:
        """Writes the model as `limpid upscale --weights` or the next stage reads it; the loop has put the averaged
        weights into the model for that long. The folder is new and empty."""
        ...

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        """Restored clips ``b t 3 H W`` in [0, 1], for pictures and metrics; gradients are off."""
        ...
