"""Attention in the middle of the autoencoders: one head over all places of a frame, and over the frames of a place."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.autoencoder.layers import Pointwise
from limpid.networks.temporal.layout import as_maps, as_tokens, mixed
from limpid.networks.temporal.norm import WindowGroupNorm

_EPS = 1e-6


class SpatialAttention(nn.Module):
    """Single-head self-attention over the ``h w`` places of each frame, residual; the norm is per frame."""

    def __init__(self, channels: int, groups: int, as_convolutions: bool = False) -> None:
        super().__init__()
        self.norm = WindowGroupNorm(groups, channels, _EPS, "frame")
        self.to_q, self.to_k, self.to_v, self.to_out = (
            Pointwise(channels, channels) if as_convolutions else nn.Linear(channels, channels) for _ in range(4)
        )

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """``(b t) c h w`` to the same."""
        tokens = self.to_out(self.attend(x))
        return x + as_maps(tokens, *x.shape[2:])

    def attend(self, x: Tensor) -> Tensor:
        """The attention before its last projection: ``(b t) c h w`` to tokens ``(b t) (h w) c``."""
        tokens = as_tokens(self.norm(x))
        return attention(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens))


class SpaceTimeAttention(SpatialAttention):
    """Spatial attention, and attention over time on its result, mixed with a learned weight (DiffVSR section 3.3).

    ``s spatial + (1 - s) temporal`` with ``s = sigmoid(mix_factor)``: the opposite of the residual blocks. The index of
    the frame is known to the temporal part only.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__(channels, groups, as_convolutions=True)
        self.mix_factor = nn.Parameter(torch.zeros(1))
        self.time_embedding = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.SiLU(), nn.Linear(4 * channels, channels)
        )
        self.over_time = TimeTransformer(channels)

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """``(b t) c h w`` to the same."""
        # over the places of each frame, then over the frames of each place, which know their index
        spatial = self.attend(x)
        frames = torch.arange(num_frames, device=x.device)
        embedding = self.time_embedding(frame_embedding(frames, x.shape[1]).to(x.dtype))
        temporal = self.over_time((torch.unflatten(spatial, 0, (-1, num_frames)) + embedding[:, None]).transpose(1, 2))
        temporal = temporal.transpose(1, 2).flatten(0, 1)
        # s spatial + (1 - s) temporal
        tokens = self.to_out(mixed(temporal, spatial, torch.sigmoid(self.mix_factor)))
        return x + as_maps(tokens, *x.shape[2:])


class TimeTransformer(nn.Module):
    """A transformer over the frames of one place: feed-forward, two self-attentions, feed-forward; each is residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_in, self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(4))
        self.ff_in, self.ff = GatedFeedForward(channels), GatedFeedForward(channels)
        self.attn1, self.attn2 = FrameAttention(channels), FrameAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``b (h w) t c`` to the same."""
        x = x + self.ff_in(self.norm_in(x))
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x))
        return cast(Tensor, x + self.ff(self.norm3(x)))


class FrameAttention(nn.Module):
    """Single-head self-attention over the frames, which are the second last dimension."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels, bias=False) for _ in range(3))
        self.to_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``b n t c`` to the same."""
        return cast(Tensor, self.to_out(attention(self.to_q(x), self.to_k(x), self.to_v(x))))


class GatedFeedForward(nn.Module):
    """GEGLU (Shazeer 2020) with four times the channels inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj_in = nn.Linear(channels, 8 * channels)
        self.proj_out = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``... c`` to ``... c``."""
        value, gate = self.proj_in(x).chunk(2, dim=-1)
        return cast(Tensor, self.proj_out(value * F.gelu(gate)))


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Single-head attention over ``... n c``; a 4-D call, which is the one with fast kernels."""
    if q.ndim == 3:
        return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
    return F.scaled_dot_product_attention(q, k, v)


def frame_embedding(frames: Tensor, channels: int) -> Tensor:
    """Sinusoids of the frame's index, cosines first: ``t`` to ``t channels``, float32."""
    half = channels // 2
    frequency = torch.exp(torch.arange(half, device=frames.device, dtype=torch.float32) * (-math.log(10000.0) / half))
    angle = frames[:, None].float() * frequency
    return torch.cat((angle.cos(), angle.sin()), dim=1)
