"""The last stage of the vivid end of `small`: pictures between both ends, their detail strengthened.

Regression to a target that the input does not determine ends at an average of all that might be, and stays soft
however far the target is strengthened. What networks make of the same input is determined by it: what lies between the
faithful end and one that a sharp network has taught can be learned with its detail as strong as is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from limpid.methods.between import Between
from limpid.methods.small import SMALL_FILE
from limpid.priors.small import SmallNetwork, load_small
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.frequencies import beyond_lr
from limpid.train.objectives.small import MakeTarget, SmallLearner, SmallRestoring, restored
from limpid.train.objectives.vivid_target import VividTarget, lightly_damaged, refuse_untaught, vivid_target
from limpid.train.stage import Stage, Start
from limpid.types import WeightsError

_NEEDED = "the faithful end of small is needed: --start FOLDER of a training of the recipe small"


@dataclass(frozen=True, kw_only=True)
class SharpenedTarget:
    """Target ``y + (gain - 1) beyond_lr(y)``, with y what a network between both ends makes of the damaged clip.

    It is that of clips that are known to be lightly damaged. What is finest in others may be blocks and noise.
    """

    taught_share: float = 0.3
    """How near y lies to the end that was taught by a sharp network."""
    gain: float = 1.9
    """How strong the detail of y is wanted, all that LR frames cannot carry. The finest part alone would have to be
    far stronger for as much detail, and cost twice the error."""
    worn: VividTarget = field(default_factory=VividTarget)
    """What is made of the teacher's picture of other clips."""
    worn_gain: float = 1.0
    """How strong the detail of that is wanted. The default of `small` lies between both ends, and the faithful one is
    soft where much is lost."""


@dataclass(frozen=True, kw_only=True)
class SmallSharpening:
    """Goes on from the taught end, the stage before; the faithful one is what the recipe starts from."""

    target: SharpenedTarget = field(default_factory=SharpenedTarget)
    restoring: SmallRestoring = field(
        default_factory=partial(SmallRestoring, smooth=0.1, gradient_weight=0.5, difference_weight=0.3)
    )
    """The loss."""

    def learner(self, start: Start, stage: Stage) -> SmallLearner:
        """Raises WeightsError without a faithful end to start from, or when its network has another shape.

        Without anything to start from it can be looked at, and not trained. Raises SettingsError for clips that come
        without a teacher.
        """
        refuse_untaught(stage)
        learner = self.restoring.learner(start, stage)
        learner.make_target = self._target(start, stage)
        return learner

    def _target(self, start: Start, stage: Stage) -> MakeTarget:
        if start.weights is None and start.previous is None:
            return nothing_to_sharpen
        faithful, taught = faithful_end(start), start.previous
        if taught is None:
            raise WeightsError(f"stage {stage.name} goes on from the stage before it, which is not there")
        ends = Between(first=faithful, second=taught / SMALL_FILE, share=self.target.taught_share)
        return partial(sharpened, self.target, ends.load(load_small).to(start.device).requires_grad_(False))


def faithful_end(start: Start) -> Path:
    """The file of the faithful end that ``start.weights`` names. Raises WeightsError where it is none."""
    given = start.weights
    if given is not None and given.is_dir():
        given = given / SMALL_FILE
    if given is None or not given.is_file() or given.suffix != ".safetensors":
        raise WeightsError(_NEEDED)
    return given


def nothing_to_sharpen(batch: ClipBatch, random: ClipRandom) -> Tensor:
    """Raises WeightsError."""
    raise WeightsError(_NEEDED)


@torch.no_grad()
def sharpened(target: SharpenedTarget, between: SmallNetwork, batch: ClipBatch, random: ClipRandom) -> Tensor:
    """``b t 3 H W``, not clipped; ``between`` makes y, told of the blocks what the learner is."""
    pictures = (restored(between, batch, random), vivid_target(target.worn, batch))
    light, worn = (
        made + (gain - 1) * beyond_lr(made, between.config.scale)
        for made, gain in zip((each.flatten(0, 1) for each in pictures), (target.gain, target.worn_gain), strict=True)
    )
    return torch.where(lightly_damaged(batch), light, worn).reshape(batch.hr.shape)
