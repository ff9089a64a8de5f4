"""Adversarial losses: hinge, and the weight that balances them with the rest.

What a critic says is ``b ...``, one number per patch. Results are ``b``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limpid.train.losses.diffusion import per_clip

MOST = 1e4
"""Largest adaptive weight (Esser et al. 2021)."""
LEAST_NORM = 1e-4


def critic_hinge(true: Tensor, made: Tensor) -> Tensor:
    """``(max(0, 1 - true) + max(0, 1 + made)) / 2`` (Lim and Ye 2017; halved as by Esser et al. 2021)."""
    return (per_clip((1 - true).relu()) + per_clip((1 + made).relu())) / 2


def generator_hinge(made: Tensor) -> Tensor:
    """``-made``."""
    return -per_clip(made)


def adaptive_weight(rest: Tensor, adversarial: Tensor, made: Tensor, layer: Tensor) -> Tensor:
    """``|grad rest| / |grad adversarial|`` of each clip at the weights ``layer``: ``b``, a constant for autograd.

    The lambda of Esser et al. 2021 (VQGAN Eq. 7), with its bounds. There it is taken for a batch; here for each clip,
    so that it does not depend on what the clip is batched with.

    Args:
        rest, adversarial: losses per clip, ``b``, made from ``made`` alone.
        made: what the network made, ``b ...``; clips do not depend on each other.
        layer: parameter that learns, near the end of the network.
    """
    slopes = [torch.autograd.grad(loss.sum(), made, retain_graph=True)[0] for loss in (rest, adversarial)]
    weights = []
    for clip in range(len(made)):
        norms = [
            torch.autograd.grad(made[clip], layer, slope[clip], retain_graph=True)[0].float().norm() for slope in slopes
        ]
        weights.append((norms[0] / (norms[1] + LEAST_NORM)).clamp(0, MOST))
    return torch.stack(weights).detach()
