"""The aesthetic half of DOVER: ConvNeXt (Liu et al. 2022) whose depthwise convolutions also look along time.

It sees whole frames, made small. Written from facts about the network; released weights fit after renaming
(`limpid.networks.dover.dover`). Everywhere ``b c t h w``.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import Parameter

_EPS = 1e-6
_FRAMES_OF_BLOCKS = (1, 3, 1)
"""Frames that the depthwise convolution of each block looks at, again and again in this order."""


class ChannelNorm(nn.LayerNorm):
    """A norm over the channels of each position of ``b c t h w``."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = super().forward(x.movedim(1, -1))
        return found.movedim(-1, 1)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, norm, two layers on each position, scaled channel by channel and added to what came in."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        padding = (frames // 2, 3, 3)
        self.depthwise = nn.Conv3d(channels, channels, (frames, 7, 7), padding=padding, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=_EPS)
        self.expand = nn.Linear(channels, 4 * channels)
        self.reduce = nn.Linear(4 * channels, channels)
        self.scale = Parameter(self.norm.weight.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(self.depthwise(x).movedim(1, -1))
        inner = self.scale * self.reduce(F.gelu(self.expand(inner)))
        added: Tensor = inner.movedim(-1, 1)
        return x + added


class Entrance(nn.Module):
    """The way into a stage: patches become positions, with a norm after it (first stage) or before it (others)."""

    def __init__(self, channels_in: int, channels: int, *, first: bool) -> None:
        super().__init__()
        patch = (2, 4, 4) if first else (1, 2, 2)
        self.first = first
        self.norm = ChannelNorm(channels if first else channels_in)
        self.conv = nn.Conv3d(channels_in, channels, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(self.conv(x)) if self.first else self.conv(self.norm(x))
        return found


class AestheticBackbone(nn.Module):
    """Features of small whole frames: ``b 3 t h w``, in ImageNet's colours -> ``b c t/2 h/32 w/32``, rests dropped."""

    def __init__(self, depths: tuple[int, ...] = (3, 3, 9, 3), widths: tuple[int, ...] = (96, 192, 384, 768)) -> None:
        super().__init__()
        before = (3, *widths[:-1])
        self.entrances = nn.ModuleList(
            Entrance(a, b, first=number == 0) for number, (a, b) in enumerate(zip(before, widths, strict=True))
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNeXtBlock(width, _FRAMES_OF_BLOCKS[n % len(_FRAMES_OF_BLOCKS)]) for n in range(depth)))
            for depth, width in zip(depths, widths, strict=True)
        )
        self.norm = ChannelNorm(widths[-1])

    def forward(self, x: Tensor) -> Tensor:
        for entrance, stage in zip(self.entrances, self.stages, strict=True):
            x = stage(entrance(x))
        found: Tensor = self.norm(x)
        return found
