"""Levels held steady over time, so that colour correction does not hand on the pumping of a compressed input."""

from __future__ import annotations

import torch
from torch import Tensor

from limpid.color.adain import statistics

RADIUS_FRAMES = 4
SPREAD_FRAMES = 2.0
SPREAD_LEVELS = 4 / 255
"""Difference of means beyond which frames are hardly averaged: a flash or a fade stays what it is."""


def steady_levels(frames: Tensor) -> Tensor:
    """Frames ``t c h w`` whose mean and standard deviation per channel run smoothly through time; a new tensor.

    Each frame's statistics become a mean over its neighbours in time, weighted by how near they are in time and in
    level (a bilateral filter). Video codecs change brightness by a level or so from key frame to key frame, and a
    correction that matches every frame by itself would copy that into the result.
    """
    pairs = [statistics(frame) for frame in frames]
    mean, std = (torch.stack(values) for values in zip(*pairs, strict=True))
    weights = _weights(mean[..., 0, 0])
    smooth_mean, smooth_std = (torch.einsum("st,tcij->scij", weights, values) for values in (mean, std))
    return (frames - mean).mul_(smooth_std / std).add_(smooth_mean)


def _weights(mean: Tensor) -> Tensor:
    """Weights of a bilateral filter over time, ``t t``, rows sum to 1, from the means ``t c`` of frames."""
    time = torch.arange(len(mean), device=mean.device, dtype=mean.dtype)
    distance = (time[:, None] - time[None]).abs()
    level = (mean[:, None] - mean[None]).abs().amax(dim=-1)
    exponent = (distance / SPREAD_FRAMES) ** 2 + (level / SPREAD_LEVELS) ** 2
    weights = torch.exp(-exponent / 2) * (distance <= RADIUS_FRAMES)
    return weights / weights.sum(dim=1, keepdim=True)
