"""`tiny` and the cleaner before it, trained as one network: both learn from the error of the enlarged picture.

A cleaner that has learned alone knows only damaged frames, and takes texture from the others; behind it `tiny` was made
for frames as they come. Together, the cleaner learns to tell by itself what is damage, and `tiny` what to make of the
result. For some clips the cleaner does nothing, or a part, so that all values of `denoise` are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.methods.tiny_ends import CLEAN_FILE
from limpid.priors.cleaned import Cleaner, CleanerConfig, save_cleaner
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.diffusion import per_clip
from limpid.train.losses.pixels import PER_UNIT, charbonnier, multi_scale_gradient
from limpid.train.objectives.tiny import TinyDenoising, TinyLearner
from limpid.train.objectives.tiny_clean import NEW_CLEANER, cleaned, start_cleaner
from limpid.train.objectives.tiny_vivid import TinyVivid, TinyVividLearner
from limpid.train.stage import Stage, Start


@dataclass(frozen=True, kw_only=True)
class TinyTogether:
    """The objective of either end of `tiny`, seen through the cleaner."""

    end: TinyDenoising | TinyVivid
    cleaner: CleanerConfig = NEW_CLEANER
    """Shape of a new cleaner; one that is trained further keeps its own, but may learn of the blocks."""
    left_out: float = 0.1
    """Share of clips that `tiny` sees as they come."""
    partly: float = 0.15
    """Share of clips with only a part of the cleaner's change, even in [0, 1], so that `denoise` may be any of it."""
    frame_weight: float = 0.3
    """Weight of the error of the cleaned frames themselves, to the target shrunk to their size."""
    smooth: float = 0.1
    """As `TinyCleaning.smooth`."""
    border: int = 2
    """LR pixels along the edges of a crop that do not count in that error."""

    def learner(self, start: Start, stage: Stage) -> TinyTogetherLearner:
        end = self.end.learner(start, stage)  # refuses what it cannot be trained on
        cleaner = start_cleaner(self.cleaner, _beside(start), stage)
        return TinyTogetherLearner(self, end, cleaner.to(start.device).to(memory_format=torch.channels_last))  # type: ignore[call-overload]


class TinyTogetherLearner:
    """`TinyNetwork` behind `Cleaner`, with their loss (see `limpid.train.learner.Learner`)."""

    def __init__(self, objective: TinyTogether, end: TinyLearner | TinyVividLearner, cleaner: Cleaner) -> None:
        self.objective, self.end, self.cleaner = objective, end, cleaner
        self.both = nn.ModuleDict({"tiny": end.network, "cleaner": cleaner})

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {"model": self.both}

    def kinds(self) -> Mapping[str, Sequence[str]]:
        """Time is mixed without parameters, so there is one kind."""
        return {"spatial": [name for name, _ in self.both.named_parameters()]}

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        clean = cleaned(self.cleaner, batch, random)
        shares = self.shares(random).to(batch.lr)
        seen = replace(batch, lr=torch.lerp(batch.lr, clean, shares[:, None, None, None, None]))
        target = self.end.target(batch)
        return {**self.end.losses_to(target, seen, random), "frames": self._frame_loss(target, clean, shares > 0)}

    def shares(self, random: ClipRandom) -> Tensor:
        """How much of the cleaner's change is made, for each clip, ``b``."""
        o, which = self.objective, random.uniform("cleaner")
        part = torch.where(which < o.left_out + o.partly, random.uniform("part of the cleaner"), 1.0)
        return torch.where(which < o.left_out, 0.0, part)

    def save(self, folder: Path) -> None:
        self.end.save(folder)
        save_cleaner(self.cleaner, folder / CLEAN_FILE)

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        """One step from pure noise behind the cleaner, as most people run it."""
        return self.end.preview(replace(batch, lr=cleaned(self.cleaner, batch).clamp(0, 1)), random)

    def _frame_loss(self, target: Tensor, clean: Tensor, counted: Tensor) -> Tensor:
        """Loss of the cleaned frames of clips that the cleaner was used for; the others count 0."""
        o, inner = self.objective, slice(self.objective.border, -self.objective.border)
        small = F.avg_pool2d(target.flatten(0, 1), target.shape[-1] // clean.shape[-1]).reshape(clean.shape)
        error = (clean - small)[..., inner, inner] * PER_UNIT
        distance = per_clip(charbonnier(error, o.smooth))
        gradient = multi_scale_gradient(error, torch.zeros_like(error), scales=1)
        return o.frame_weight * (counted * (distance + gradient)).mean()


def _beside(start: Start) -> Start:
    """The start of the cleaner: from its file beside the network's, where it is there."""
    given = start.previous or start.weights
    file = None if given is None else (given if given.is_dir() else given.parent) / CLEAN_FILE
    return replace(start, previous=None, weights=file if file is not None and file.is_file() else None)
