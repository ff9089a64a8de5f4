"""The target of vivid ends: what a sharp network makes of the same damaged input, held to the truth.

Regression to the truth blurs whatever the input does not determine. A deterministic teacher's picture is a function of
the input, so regression to it stays sharp. Its faults are held back: low frequencies, and so colours, are the truth's,
as is a share of the rest; its finest part is strengthened where it moves with the truth's, and weakened where it does
not (there it is the input's blocks and noise).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from limpid.train.learner import ClipBatch
from limpid.train.losses.frequencies import fine_part, low_part
from limpid.train.stage import Stage
from limpid.types import LUMA_BT601, SettingsError

_LIGHT = "light"
"""The pipeline (`limpid.degrade.PIPELINES`) whose clips count as lightly damaged."""
_PLACE_PX = 8.0
"""Strength and correlation are those of a neighbourhood of this standard deviation."""
_FAINT = 1.5 / 255
"""Strength below which nothing is told apart from rounding."""


@dataclass(frozen=True, kw_only=True)
class VividTarget:
    """Target ``m + low(truth - m) + (gain - 1) fine(m)``, with m the mixture of teacher and truth; see `fine_gain`."""

    teacher_share: float = 0.95
    """Share of the teacher in m; the rest is the truth."""
    truth_sigma_px: float = 16.0
    """What a Gaussian blur of this width keeps is the truth's; narrower, and blocks of the input would stay."""
    light_truth_sigma_px: float | None = None
    """`truth_sigma_px` of clips that are known to be lightly damaged, which have no blocks; None: as of the others."""
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


def vivid_target(target: VividTarget, batch: ClipBatch) -> Tensor:
    """``b t 3 H W``, not clipped. Raises SettingsError for clips without a teacher."""
    mixed, truth = taught_mixture(batch, target.teacher_share), batch.hr.flatten(0, 1)
    fine, wanted = (fine_part(pictures, target.fine_sigma_px) for pictures in (mixed, truth))
    made = _held(target, batch, mixed, truth) + (fine_gain(target, fine, wanted) - 1) * fine
    return made.reshape(batch.hr.shape)


def _held(target: VividTarget, batch: ClipBatch, mixed: Tensor, truth: Tensor) -> Tensor:
    """`held_to_truth` by what is known of the damage of each clip."""
    held, sigma_px = held_to_truth(mixed, truth, target.truth_sigma_px), target.light_truth_sigma_px
    if sigma_px is None or not batch.damages:
        return held
    return torch.where(lightly_damaged(batch), held_to_truth(mixed, truth, sigma_px), held)


def lightly_damaged(batch: ClipBatch) -> Tensor:
    """Whether that is known of a frame, ``(b t) 1 1 1`` bool."""
    light = [damage == _LIGHT for damage in batch.damages] or [False] * len(batch.hr)
    return torch.tensor(light, device=batch.hr.device).repeat_interleave(batch.hr.shape[1])[:, None, None, None]


def taught_mixture(batch: ClipBatch, teacher_share: float) -> Tensor:
    """Teacher and truth, ``(b t) 3 H W``. Raises SettingsError for clips without a teacher."""
    if batch.teacher is None:
        raise SettingsError("these clips come without a teacher's frames: limpid train prepare --teacher MODEL")
    return torch.lerp(batch.hr.flatten(0, 1), batch.teacher.flatten(0, 1), teacher_share)


def held_to_truth(mixed: Tensor, truth: Tensor, sigma_px: float) -> Tensor:
    """The mixture with what a Gaussian blur of the truth keeps in place of its own."""
    return mixed + low_part(truth - mixed, sigma_px)


def fine_gain(target: VividTarget, fine: Tensor, wanted: Tensor) -> Tensor:
    """How much the finest part of a picture is strengthened, by place.

    ``fine``, ``wanted``: the finest parts of the picture and of the truth, ``n 3 h w``, sides multiples of 4. Returns
    ``n 1 h w``: ``boost`` times the ratio of their strengths where they correlate, `least_gain` where they do not.
    """
    have, want = (_luma(part) for part in (fine, wanted))
    have_power, want_power, both = (low_part(x, _PLACE_PX) for x in (have * have, want * want, have * want))
    ratio = (want_power.sqrt() + _FAINT) / (have_power.sqrt() + _FAINT)
    correlation = both / ((have_power * want_power).sqrt() + _FAINT**2 / 4)
    trust = ((correlation - target.trusted_from) / (target.trusted_to - target.trusted_from)).clamp(0, 1)
    whole = target.boost * ratio.clamp(target.least_gain, target.most_gain)
    return torch.lerp(torch.full_like(whole, target.least_gain), whole.clamp(min=target.least_gain), trust)


def _luma(pictures: Tensor) -> Tensor:
    weights = pictures.new_tensor(LUMA_BT601)[None, :, None, None]
    return (pictures * weights).sum(1, keepdim=True)


def refuse_untaught(stage: Stage) -> None:
    """Raises SettingsError for a stage whose clips come without a teacher."""
    if not stage.clips.teacher:
        raise SettingsError(f"stage {stage.name}: this objective needs clips with a teacher (ClipSpec.teacher)")
