"""The last stage of the vivid end of `small`: pictures between both ends, their finest part strengthened.

Regression to a target that the input does not determine ends at an average of all that might be, and stays soft
however far the target is strengthened. What networks make of the same input is determined by it: what lies between the
faithful end and one that a sharp network has taught can be learned with its finest part as strong as is wanted. That is
as strong as the truth's, so that what is soft by nature is not sharpened.
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
from limpid.train.losses.frequencies import fine_part
from limpid.train.objectives.small import SmallLearner, SmallRestoring, restored
from limpid.train.objectives.vivid_target import lightly_damaged, strength_ratio
from limpid.train.stage import Stage, Start
from limpid.types import WeightsError


@dataclass(frozen=True, kw_only=True)
class SharpenedTarget:
    """Target ``y + (gain - 1) fine(y)``, with y what networks between both ends make of the damaged clip.

    The gain is `boost` times the ratio of the local strengths of the finest parts of truth and y, within bounds.
    """

    taught_share: float = 0.5
    """How near y lies to the end that was taught by a sharp network, for clips that are known to be lightly damaged."""
    most_gain: float = 3.0
    worn_taught_share: float = 0.8
    """As `taught_share`, for other clips: that end leaves fewer blocks."""
    worn_most_gain: float = 1.3
    """As `most_gain`, for other clips, whose finest part may be blocks and noise."""
    boost: float = 1.1
    least_gain: float = 0.8
    fine_sigma_px: float = 1.2


@dataclass(frozen=True, kw_only=True)
class SmallSharpening:
    """Goes on from the taught end, the stage before; the faithful one is what the recipe starts from."""

    target: SharpenedTarget = field(default_factory=SharpenedTarget)
    restoring: SmallRestoring = field(
        default_factory=partial(SmallRestoring, smooth=0.1, gradient_weight=0.5, difference_weight=0.3)
    )
    """The loss."""

    def learner(self, start: Start, stage: Stage) -> SmallLearner:
        """Raises WeightsError without a faithful end to start from, or when its network has another shape."""
        faithful, taught = faithful_end(start), start.previous
        if taught is None:
            raise WeightsError(f"stage {stage.name} goes on from the stage before it, which is not there")

        def between(share: float) -> SmallNetwork:
            ends = Between(first=faithful, second=taught / SMALL_FILE, share=share)
            return ends.load(load_small).to(start.device).requires_grad_(False)

        learner = self.restoring.learner(start, stage)
        light, worn = between(self.target.taught_share), between(self.target.worn_taught_share)
        learner.make_target = partial(sharpened, self.target, light, worn)
        return learner


def faithful_end(start: Start) -> Path:
    """The file of the faithful end that ``start.weights`` names. Raises WeightsError where it is none."""
    given = start.weights
    if given is not None and given.is_dir():
        given = given / SMALL_FILE
    if given is None or not given.is_file() or given.suffix != ".safetensors":
        raise WeightsError("the faithful end of small is needed: --start FOLDER of a training of the recipe small")
    return given


@torch.no_grad()
def sharpened(
    target: SharpenedTarget, light: SmallNetwork, worn: SmallNetwork, batch: ClipBatch, random: ClipRandom
) -> Tensor:
    """``b t 3 H W``, not clipped; ``light`` and ``worn`` make y, told of the blocks what the learner is."""
    which, truth = lightly_damaged(batch), batch.hr.flatten(0, 1)
    first, second = (restored(network, batch, random).flatten(0, 1) for network in (light, worn))
    made = torch.where(which, first, second)
    fine, wanted = (fine_part(pictures, target.fine_sigma_px) for pictures in (made, truth))
    ratio = strength_ratio(fine, wanted) * target.boost
    gain = torch.where(
        which,
        ratio.clamp(target.least_gain, target.most_gain),
        ratio.clamp(target.least_gain, target.worn_most_gain),
    )
    return (made + (gain - 1) * fine).reshape(batch.hr.shape)
