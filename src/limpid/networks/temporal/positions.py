"""Positions of frames in time: rotary angles and relative distances, worked out once per call of a network."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

ROTARY_DIMS = 32
"""Channels of each attention head that are rotated."""
NUM_BUCKETS = 32
"""Number of classes of distance between frames; half of them for frames before, half for frames after."""
MAX_DISTANCE = 32
"""Distance in frames from which on all fall into the last class."""


class FramePositions(NamedTuple):
    """Positions of the frames of a call for temporal layers: how many there are, and tables made from that."""

    num_frames: int
    cos: Tensor
    """Cosines ``t 16`` of the angle by which a pair of channels is turned at a frame; `sin` likewise."""
    sin: Tensor
    buckets: Tensor
    """Classes ``t t`` int64 of the distance from the frame that asks (row) to the frame that answers (column)."""


def frame_positions(num_frames: int, device: torch.device, dtype: torch.dtype) -> FramePositions:
    """Positions of ``num_frames`` frames, numbered from 0; angles are worked out in float32 whatever ``dtype`` is."""
    angles = torch.arange(num_frames, dtype=torch.float32)[:, None] * rotary_frequencies()[None]
    offsets = torch.arange(num_frames)[None] - torch.arange(num_frames)[:, None]
    buckets = distance_buckets(offsets)
    cos, sin = (table.to(device, dtype) for table in (angles.cos(), angles.sin()))
    return FramePositions(num_frames, cos, sin, buckets.to(device))


def rotary_frequencies(dims: int = ROTARY_DIMS, base: float = 1e4) -> Tensor:
    """Rotary frequencies theta_i (Su et al. 2021, RoFormer Eq. 15).

    They are radians per frame for each pair of channels, float32. Checkpoints carry these numbers as ``freqs``, once
    per layer; they are constants and not read from there.
    """
    return 1.0 / (base ** (torch.arange(0, dims, 2).float() / dims))


def rotate(x: Tensor, positions: FramePositions) -> Tensor:
    """RoPE: turns neighbouring pairs of the first channels by the frame's angle.

    ``x``: ``... t d``, changed in place where no gradient is wanted. Heads narrower than `ROTARY_DIMS` are turned as a
    whole, with the first angles.
    """
    dims = min(ROTARY_DIMS, x.shape[-1])
    cos, sin = positions.cos[:, : dims // 2], positions.sin[:, : dims // 2]
    first, second = x[..., 0:dims:2], x[..., 1:dims:2]
    turned = torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-1).flatten(-2)
    if torch.is_grad_enabled():
        return torch.cat((turned, x[..., dims:]), dim=-1)
    x[..., :dims] = turned
    return x


def distance_buckets(offsets: Tensor) -> Tensor:
    """Classes of frame distances (Raffel et al. 2020, T5 section 2.1): ``offsets`` int, other frame minus own.

    Distances below 8 have a class each, larger ones share classes whose width grows logarithmically.
    """
    half = NUM_BUCKETS // 2
    exact = half // 2
    distance = offsets.abs()
    growth = torch.log(distance.float().clamp(min=1) / exact) / math.log(MAX_DISTANCE / exact)
    far = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(distance < exact, distance, far) + half * (offsets > 0)


class RelativePositionBias(nn.Embedding):
    """A bias by distance: a learned number per head and class, added to the attention scores."""

    def __init__(self, heads: int) -> None:
        super().__init__(NUM_BUCKETS, heads)

    def forward(self, buckets: Tensor) -> Tensor:
        """``t t`` classes to ``1 heads t t``."""
        return super().forward(buckets).permute(2, 0, 1)[None]
