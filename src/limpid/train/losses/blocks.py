"""How much more of a codec's block grid a restored clip shows than the truth, as a loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.types import LUMA_BT601

_FAINT = 0.5 / 255
"""Jumps below which a grid is not seen; added to both means, so that plain areas have none."""


def grid_excess(pictures: Tensor, scale: int, grid_px: int) -> Tensor:
    """How much larger jumps are on the grid than elsewhere, ``b``: `limpid.metrics.blocks`, differentiable.

    The error of each pixel does not see it: what a block's border may be, an edge of the picture or the codec's, is not
    known in one place, and the least error is something in between, at all borders of all blocks. Jumps elsewhere have
    no gradient: a network that could make them larger hides the grid behind stripes.

    Args:
        pictures: ``b t 3 h w`` in [0, 1]; a block begins in their top left corner, and there are two or more a side.
        scale: pixels per coded pixel; they are averaged, where the metric reduces by antialiased bicubic.
        grid_px: side of a block, coded pixels.
    """
    weights = pictures.new_tensor(LUMA_BT601)[:, None, None]
    luma = (pictures * weights).sum(2)  # as a product of matrices it would lose bits under autocast
    reduced = F.avg_pool2d(luma, scale)
    by_phase = (_mean_jumps(reduced, grid_px) + _mean_jumps(reduced.transpose(-1, -2), grid_px)) / 2
    on, phases = by_phase[0], len(by_phase)
    elsewhere = (by_phase.sum(0) - on) / (phases - 1)
    return (on + _FAINT) / (elsewhere.detach() + _FAINT) - 1


def _mean_jumps(y: Tensor, grid_px: int) -> Tensor:
    """Mean size of jumps across columns by their place in a block, ``grid^2 b``; the first is the grid itself."""
    steps = y.diff(dim=-1)
    jumps = steps[..., 1:-1] - (steps[..., :-2] + steps[..., 2:]) / 2  # column i: from pixel i + 1 to i + 2
    sides = F.avg_pool2d(jumps, (grid_px, 1), stride=1).abs()
    places = [(along, (across - 2) % grid_px) for across in range(grid_px) for along in range(grid_px)]
    return torch.stack([sides[:, :, top::grid_px, left::grid_px].flatten(1).mean(1) for top, left in places])
