"""The decoder, its middle and its residual blocks to be chosen, and what conditions it on the LR frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from limpid.networks.autoencoder.blocks import NORM_EPS, Adapt, MakeResnet, MidBlock, Resnet, UpBlock, VideoResnet
from limpid.networks.autoencoder.layers import SmoothConv2d
from limpid.networks.temporal.norm import NormScope, WindowGroupNorm


class LatentDecoder(nn.Module):
    """The decoder D: latents ``(b t) z h w``, after `post_quant_conv`, to frames ``(b t) 3 H W``."""

    def __init__(
        self,
        latent_channels: int,
        out_channels: int,
        block_out_channels: Sequence[int],
        layers_per_block: int,
        groups: int,
        norm_scope: NormScope,
        make: MakeResnet,
        attention: nn.Module,
    ) -> None:
        super().__init__()
        widths = list(reversed(block_out_channels))
        pairs = list(zip([widths[0], *widths], widths, strict=False))
        self.conv_in = nn.Conv2d(latent_channels, widths[0], 3, padding=1)
        self.mid_block = MidBlock(make, widths[0], attention)
        self.up_blocks = nn.ModuleList(
            [UpBlock(make, a, b, layers_per_block + 1, last=i == len(pairs) - 1) for i, (a, b) in enumerate(pairs)]
        )
        self.conv_norm_out = WindowGroupNorm(groups, widths[-1], NORM_EPS, norm_scope)
        self.conv_out = SmoothConv2d(widths[-1], out_channels)

    def forward(
        self, z: Tensor, num_frames: int, adapt: Adapt | None = None, at_levels: Mapping[int, Adapt] | None = None
    ) -> Tensor:
        """``z`` in channels_last memory; not changed. ``adapt`` changes the features after the first layer.

        ``at_levels``: what changes those after the residual blocks of a level, 0 being the largest pictures.
        """
        # first features, which the LR frames may change (SFT)
        x = self.conv_in(z)
        if adapt is not None:
            x = adapt(x)
        # up, level by level; features of the encoder may come in at each (CFW)
        x = self.mid_block(x, num_frames)
        for level, block in zip(reversed(range(len(self.up_blocks))), self.up_blocks, strict=True):
            x = block(x, num_frames, (at_levels or {}).get(level))
        return cast(Tensor, self.conv_out(x, self.conv_norm_out, num_frames))


class LRCondition(nn.Module):
    """Spatial feature transform (Wang et al. 2018) by the LR frames of the decoder's first features; UAV section 3.2.

    ``x + w (x scale + shift)``, ``scale`` and ``shift`` computed from the features of both. LR frames have the size of
    the latent.
    """

    def __init__(
        self, frame_channels: int, lr_channels: int, channels: int, groups: int, norm_scope: NormScope
    ) -> None:
        super().__init__()
        if frame_channels == lr_channels:
            raise ValueError("the LR frames' features need more channels than the frames")
        first = VideoResnet(frame_channels, lr_channels, groups, norm_scope, in_groups=frame_channels)
        self.features = nn.ModuleList([first, VideoResnet(lr_channels, lr_channels, groups, norm_scope)])
        make = partial(Resnet, groups=groups, norm_scope=norm_scope)
        self.shared = nn.ModuleList([make(channels + lr_channels, channels), make(channels, channels)])
        self.scale = nn.Conv2d(channels, channels, 3, padding=1)
        self.shift = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, lr: Tensor, num_frames: int, weight: float) -> Tensor:
        """``x``: ``(b t) c h w``; ``lr``: ``(b t) 3 h w`` in [-1, 1], not changed; ``weight`` 0: ``x`` itself."""
        # features of the LR frames, then of both together
        for block in self.features:
            lr = block(lr, num_frames)
        both = torch.cat((lr, x), dim=1)
        for block in self.shared:
            both = block(both, num_frames)
        # x + w (x scale + shift)
        return torch.add(x, x * self.scale(both) + self.shift(both), alpha=weight)
