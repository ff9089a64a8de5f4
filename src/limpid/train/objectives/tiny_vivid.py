"""What the vivid end of `tiny` is trained for: what a sharp network makes of the same damaged input, held to the truth.

Regression to the truth blurs whatever the input does not determine. A deterministic teacher's picture is a function of
the input, so regression to it stays sharp. Its faults are held back: low frequencies, and so colours, are the truth's,
as is a share of the rest; its finest part is strengthened where it moves with the truth's, and weakened where it does
not (there it is the input's blocks and noise); and flicker counts as an error along time.
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
from limpid.types import LUMA_BT601, SettingsError


def _denoising() -> TinyDenoising:
    return TinyDenoising(near_pure_noise=0.85, smooth=0.1)


@dataclass(frozen=True, kw_only=True)
class TinyVivid:
    """Target ``m + low(truth - m) + (gain - 1) fine(m)``, with m the mixture of teacher and truth; see `fine_gain`."""

    denoising: TinyDenoising = field(default_factory=_denoising)
    teacher_share: float = 0.95
    """Share of the teacher in m; the rest is the truth."""
    truth_sigma_px: float = 16.0
    """What a Gaussian blur of this width keeps is the truth's; narrower, and blocks of the input would stay."""
    fine_sigma_px: float = 1.2
    """What a blur of this width takes away is the finest part."""
    boost: float = 1.3
    """The finest part is wanted this much stronger than the truth's: regression loses some of it."""
    least_gain: float = 0.7
    """Gain where the finest parts of m and truth have nothing to do with each other."""
    most_gain: float = 3.0
    """Bound of the ratio of the strengths of truth and m, before `boost`."""
    trusted_from: float = 0.1
    """Correlation of both finest parts from which on the gain rises from `least_gain`."""
    trusted_to: float = 0.6
    """Correlation where it has risen to the whole."""
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
        self.network = plain.network

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return self.plain.players

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return self.plain.kinds()

    def target(self, batch: ClipBatch) -> Tensor:
        """As `TinyLearner.target`."""
        return vivid_target(self.objective, batch)

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        return self.losses_to(self.target(batch), batch, random)

    def losses_to(self, target: Tensor, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        """As `TinyLearner.losses_to`."""
        o, config = self.objective, self.network.config
        patches = tiny_relative_error(o.denoising, self.network, replace(batch, hr=target), random)
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
    o, truth = objective, batch.hr.flatten(0, 1)
    mixed = taught_mixture(batch, o.teacher_share)
    fine, wanted = fine_part(mixed, o.fine_sigma_px), fine_part(truth, o.fine_sigma_px)
    target = held_to_truth(mixed, truth, o.truth_sigma_px) + (fine_gain(o, fine, wanted) - 1) * fine
    return target.reshape(batch.hr.shape)


def taught_mixture(batch: ClipBatch, teacher_share: float) -> Tensor:
    """Teacher and truth, ``(b t) 3 H W``. Raises SettingsError for clips without a teacher."""
    if batch.teacher is None:
        raise SettingsError("these clips come without a teacher's frames: limpid train prepare --teacher MODEL")
    return torch.lerp(batch.hr.flatten(0, 1), batch.teacher.flatten(0, 1), teacher_share)


def held_to_truth(mixed: Tensor, truth: Tensor, sigma_px: float) -> Tensor:
    """The mixture with what a Gaussian blur of the truth keeps in place of its own."""
    return mixed + low_part(truth - mixed, sigma_px)


_PLACE_PX = 8.0
"""Strength and correlation are those of a neighbourhood of this standard deviation."""
_FAINT = 1.5 / 255
"""Strength below which nothing is told apart from rounding."""


def fine_gain(objective: TinyVivid, fine: Tensor, wanted: Tensor) -> Tensor:
    """How much the finest part of a picture is strengthened, by place.

    ``fine``, ``wanted``: the finest parts of the picture and of the truth, ``n 3 h w``, sides multiples of 4. Returns
    ``n 1 h w``: ``boost`` times the ratio of their strengths where they correlate, `least_gain` where they do not.
    """
    o = objective
    have, want = (_luma(part) for part in (fine, wanted))
    have_power, want_power, both = (low_part(x, _PLACE_PX) for x in (have * have, want * want, have * want))
    ratio = (want_power.sqrt() + _FAINT) / (have_power.sqrt() + _FAINT)
    correlation = both / ((have_power * want_power).sqrt() + _FAINT**2 / 4)
    trust = ((correlation - o.trusted_from) / (o.trusted_to - o.trusted_from)).clamp(0, 1)
    whole = o.boost * ratio.clamp(o.least_gain, o.most_gain)
    return torch.lerp(torch.full_like(whole, o.least_gain), whole.clamp(min=o.least_gain), trust)


def _luma(pictures: Tensor) -> Tensor:
    weights = pictures.new_tensor(LUMA_BT601)[None, :, None, None]
    return (pictures * weights).sum(1, keepdim=True)
