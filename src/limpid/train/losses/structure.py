"""Structure-weighted consistency (MGLD section 3.3): restored frames agree along the motion of the true ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.flow.warp import unoccluded, warp
from limpid.train.losses.diffusion import per_clip
from limpid.types import LUMA_BT601

STRUCTURE_WEIGHT = 3.0


def sobel(frames: Tensor) -> Tensor:
    """Edges ``n 1 h w`` in [0, 1] of RGB frames ``n 3 h w`` in [0, 1]: length of Sobel's gradient of the luma.

    The gradient is scaled so that a step from black to white along an axis is 1; borders are replicated.
    """
    luma = torch.einsum("nchw,c->nhw", frames.float(), frames.new_tensor(LUMA_BT601, dtype=torch.float32))[:, None]
    smooth, slope = luma.new_tensor([1.0, 2.0, 1.0]) / 4, luma.new_tensor([-1.0, 0.0, 1.0])
    kernels = torch.stack([smooth[:, None] * slope, slope[:, None] * smooth])[:, None]
    gradient = F.conv2d(F.pad(luma, (1, 1, 1, 1), mode="replicate"), kernels)
    # a length of zero has no derivative, but nobody asks for one: this is of the true frames only
    return gradient.square().sum(1, keepdim=True).sqrt().clamp(max=1)


def structure_weights(truth: Tensor, weight: float = STRUCTURE_WEIGHT) -> Tensor:
    """``W = 1 + w S`` of true clips ``b t 3 h w`` in [0, 1]: ``b t 1 h w``."""
    return 1 + weight * torch.unflatten(sobel(truth.flatten(0, 1)), 0, truth.shape[:2])


def structure_weighted_consistency(
    made: Tensor, truth: Tensor, forward: Tensor, backward: Tensor, weight: float = STRUCTURE_WEIGHT
) -> Tensor:
    """MGLD Eq. 5: each restored frame, fetched along the true motion, against its restored neighbour.

    Args:
        made: restored clips ``b t 3 h w``, which alone are compared; any range.
        truth: true clips in [0, 1], whose edges say where it counts most.
        forward: ``b t-1 2 h w``, flow of the truth from each frame to the next, on the grid of the earlier one.
        backward: the same from each frame to the one before, on the grid of the later one.

    Returns:
        ``b``: the sum of both directions, each a mean over pixels and pairs; occluded pixels count as zeros. Zero for a
        clip of one frame.
    """
    if made.shape[1] == 1:
        return per_clip(made * 0)
    weights, (b, pairs) = structure_weights(truth, weight), forward.shape[:2]
    forward, backward = forward.flatten(0, 1), backward.flatten(0, 1)

    def term(source: Tensor, target: Tensor, weights: Tensor, flow: Tensor, back: Tensor) -> Tensor:
        error = warp(source.flatten(0, 1), flow, "bilinear") - target.flatten(0, 1)
        return per_clip(torch.unflatten(unoccluded(flow, back) * weights.flatten(0, 1) * error.abs(), 0, (b, pairs)))

    later = term(made[:, :-1], made[:, 1:], weights[:, 1:], backward, forward)
    earlier = term(made[:, 1:], made[:, :-1], weights[:, :-1], forward, backward)
    return later + earlier
