"""Distances between clips ``b t c h w``, as one number per clip."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.train.losses.diffusion import per_clip

PER_UNIT = 16
"""Errors of pixels are counted in sixteenths of the range, where those of damaged frames are around 0.3."""


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


def error_terms(
    error: Tensor, *, smooth: float, gradient_weight: float, difference_weight: float
) -> Mapping[str, Tensor]:
    """The loss of our own networks: of an error ``b t c h w``, and of its differences in space and time, weighted.

    ``smooth``: as of `charbonnier`. Terms without weight are left out.
    """
    terms, none = {"charbonnier": charbonnier(error, smooth).mean()}, torch.zeros_like(error)
    if gradient_weight:
        terms["gradient"] = gradient_weight * multi_scale_gradient(error, none, scales=1).mean()
    if difference_weight:
        terms["difference"] = difference_weight * frame_difference(error, none).mean()
    return terms
