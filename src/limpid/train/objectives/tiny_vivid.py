"""What the vivid end of `tiny` is trained for: what a sharp network makes of the same damaged input, held to the truth.

Regression to the truth blurs whatever the input does not determine. A deterministic teacher's picture is a function of
the input, so regression to it stays sharp. Its faults are held back: low frequencies, and so colours, are the truth's,
as is a share of the rest, and flicker counts as an error along time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.frequencies import fine_part, low_part
from limpid.train.losses.pixels import charbonnier, frame_difference, multi_scale_gradient
from limpid.train.objectives.tiny import TinyDenoising, TinyLearner, tiny_relative_error
from limpid.train.stage import Stage, Start
from limpid.types import SettingsError


def _denoising() -> TinyDenoising:
    return TinyDenoising(near_pure_noise=0.85, smooth=0.1)


@dataclass(frozen=True, kw_only=True)
class TinyVivid:
    """Target ``m + low(truth - m) + (boost - 1) fine(m)``, with m the mixture of teacher and truth."""

    denoising: TinyDenoising = field(default_factory=_denoising)
    teacher_share: float = 0.8
    """Share of the teacher in m; the rest is the truth."""
    truth_sigma_px: float = 8.0
    """What a Gaussian blur of this width keeps is the truth's; narrower, and blocks of the input would stay."""
    fine_sigma_px: float = 1.5
    boost: float = 1.6
    """How much stronger than in m that is which a blur of `fine_sigma_px` takes away."""
    gradient_weight: float = 1.0
    """Weight of the error of differences between neighbouring pixels."""
    difference_weight: float = 0.5
    """Weight of the error of differences between neighbouring frames."""

    def learner(self, start: Start, stage: Stage) -> TinyVividLearner:
        if not stage.clips.teacher:
            raise SettingsError(f"stage {stage.name}: this objective needs clips with a teacher (ClipSpec.teacher)")
        return TinyVividLearner(self, self.denoising.learner(start, stage))


class TinyVividLearner:
    """A `TinyLearner` with another target and more terms (see `limpid.train.learner.Learner`)."""

    def __init__(self, objective: TinyVivid, plain: TinyLearner) -> None:
        self.objective, self.plain = objective, plain

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return self.plain.players

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return self.plain.kinds()

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        o, config = self.objective, self.plain.network.config
        aimed = replace(batch, hr=vivid_target(o, batch))
        patches = tiny_relative_error(o.denoising, self.plain.network, aimed, random)
        error = F.pixel_shuffle(patches, config.patch_px * config.scale)
        none = torch.zeros_like(error)
        return {
            "charbonnier": charbonnier(patches, o.denoising.smooth).mean(),
            "gradient": o.gradient_weight * multi_scale_gradient(error, none, scales=1).mean(),
            "difference": o.difference_weight * frame_difference(error, none).mean(),
        }

    def save(self, folder: Path) -> None:
        self.plain.save(folder)

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return self.plain.preview(batch, random)


def vivid_target(objective: TinyVivid, batch: ClipBatch) -> Tensor:
    """``b t 3 H W``, not clipped. Raises SettingsError for clips without a teacher."""
    if batch.teacher is None:
        raise SettingsError("these clips come without a teacher's frames: limpid train prepare --teacher MODEL")
    o, truth, taught = objective, batch.hr.flatten(0, 1), batch.teacher.flatten(0, 1)
    mixed = torch.lerp(truth, taught, o.teacher_share)
    target = mixed + low_part(truth - mixed, o.truth_sigma_px) + (o.boost - 1) * fine_part(mixed, o.fine_sigma_px)
    return target.reshape(batch.hr.shape)
