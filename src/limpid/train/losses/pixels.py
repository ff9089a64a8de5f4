"""Distances between clips ``b t c h w``, as one number per clip."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.train.losses.diffusion import per_clip


def l1(made: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error, ``b``."""
    return per_clip((made - truth).abs())


def charbonnier(error: Tensor, smooth: float) -> Tensor:
    """``sqrt(e^2 + smooth)`` of each value (Charbonnier et al. 1994): L1 with a round bottom; of any shape."""
    return (error.square() + smooth).sqrt()


def frame_difference(made: Tensor, truth: Tensor) -> Tensor:
    """How differently neighbouring frames differ, ``b``; MGLD Eq. 4, as a mean over pixels and pairs of frames.

    Zero for a clip of one frame.
    """
    if made.shape[1] == 1:
        return per_clip(made * 0)
    return l1(made[:, 1:] - made[:, :-1], truth[:, 1:] - truth[:, :-1])


def multi_scale_gradient(made: Tensor, truth: Tensor, scales: int = 3) -> Tensor:
    """Mean absolute error of differences between neighbouring pixels at full, half, quarter ... size, summed: ``b``.

    Smaller pictures are averages of 2x2 pixels; at scale s there are ``2^s`` pixels of the original between
    neighbours. Scales of which less than two pixels a side would be left are not counted.
    """
    error = (made - truth).flatten(0, 1)
    total = per_clip(made * 0)
    for scale in range(scales):
        if min(error.shape[-2:]) < 2:
            break
        for difference in (error.diff(dim=-1), error.diff(dim=-2)):
            total = total + per_clip(torch.unflatten(difference.abs(), 0, made.shape[:2]))
        if scale + 1 < scales:
            error = F.avg_pool2d(error, 2)
    return total
