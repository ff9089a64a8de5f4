"""What the vivid end of `tiny` is trained for: `limpid.train.objectives.vivid_target`, as seen from any noise level.

Edges count, and flicker counts as an error along time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.pixels import error_terms
from limpid.train.objectives.tiny import TinyDenoising, TinyLearner, tiny_relative_error
from limpid.train.objectives.vivid_target import VividTarget, refuse_untaught, vivid_target
from limpid.train.stage import Stage, Start


def _denoising() -> TinyDenoising:
    return TinyDenoising(near_pure_noise=0.85, smooth=0.1)


@dataclass(frozen=True, kw_only=True)
class TinyVivid:
    """The loss of `TinyDenoising` to another target, with weights for edges and flicker."""

    denoising: TinyDenoising = field(default_factory=_denoising)
    target: VividTarget = field(default_factory=VividTarget)
    gradient_weight: float = 1.0
    """Weight of the error of differences between neighbouring pixels."""
    difference_weight: float = 0.5
    """Weight of the error of differences between neighbouring frames."""

    def learner(self, start: Start, stage: Stage) -> TinyVividLearner:
        refuse_untaught(stage)
        return TinyVividLearner(self, self.denoising.learner(start, stage))


class TinyVividLearner:
    """A `TinyLearner` with another target and more terms (see `limpid.train.learner.Learner`)."""

    def __init__(self, objective: TinyVivid, plain: TinyLearner) -> None:
        self.objective, self.plain = objective, plain
        self.network = plain.network

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return self.plain.players

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return self.plain.kinds()

    def target(self, batch: ClipBatch) -> Tensor:
        """As `TinyLearner.target`."""
        return vivid_target(self.objective.target, batch)

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        return self.losses_to(self.target(batch), batch, random)

    def losses_to(self, target: Tensor, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        """As `TinyLearner.losses_to`."""
        o, config = self.objective, self.network.config
        patches = tiny_relative_error(o.denoising, self.network, replace(batch, hr=target), random)
        error = F.pixel_shuffle(patches, config.patch_px * config.scale)
        return error_terms(
            error,
            smooth=o.denoising.smooth,
            gradient_weight=o.gradient_weight,
            difference_weight=o.difference_weight,
        )

    def save(self, folder: Path) -> None:
        self.plain.save(folder)

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return self.plain.preview(batch, random)
