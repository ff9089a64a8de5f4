"""The encoder that all these autoencoders share: that of the Stable Diffusion x4 upscaler."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

from torch import Tensor, nn

from limpid.networks.autoencoder.attention import SpatialAttention
from limpid.networks.autoencoder.blocks import NORM_EPS, DownBlock, MidBlock, Resnet
from limpid.networks.autoencoder.layers import SmoothConv2d
from limpid.networks.temporal.norm import NormScope, WindowGroupNorm


class LatentEncoder(nn.Module):
    """The encoder E: frames ``(b t) 3 H W`` to ``(b t) 2z h w``, mean and log variance before `quant_conv`."""

    def __init__(
        self,
        in_channels: int,
        latent_channels: int,
        block_out_channels: Sequence[int],
        layers_per_block: int,
        groups: int,
        norm_scope: NormScope,
        attention: nn.Module | None = None,
    ) -> None:
        """``attention`` of the middle: `SpatialAttention` as diffusers stores it, or one given."""
        super().__init__()
        make = partial(Resnet, groups=groups, norm_scope=norm_scope)
        widths = list(block_out_channels)
        pairs = list(zip([widths[0], *widths], widths, strict=False))
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            [DownBlock(make, a, b, layers_per_block, last=i == len(pairs) - 1) for i, (a, b) in enumerate(pairs)]
        )
        self.mid_block = MidBlock(make, widths[-1], attention or SpatialAttention(widths[-1], groups))
        self.conv_norm_out = WindowGroupNorm(groups, widths[-1], NORM_EPS, norm_scope)
        self.conv_out = SmoothConv2d(widths[-1], 2 * latent_channels)

    def forward(self, frames: Tensor, num_frames: int) -> Tensor:
        """``frames`` in channels_last memory; not changed."""
        x = self.conv_in(frames)
        for block in self.down_blocks:
            x = block(x, num_frames)
        x = self.mid_block(x, num_frames)
        return cast(Tensor, self.conv_out(x, self.conv_norm_out, num_frames))

    def features(self, frames: Tensor, num_frames: int, levels: Sequence[int]) -> list[Tensor]:
        """Features after the residual blocks of the rising ``levels``, ``(b t) c H/2^level W/2^level`` each.

        Nothing beyond the last of them is computed.
        """
        x, found = self.conv_in(frames), []
        for level, block in enumerate(cast("list[DownBlock]", self.down_blocks[: levels[-1] + 1])):
            x = block.residuals(x, num_frames)
            if level in levels:
                found.append(x)
            if level < levels[-1] and block.downsample is not None:
                x = block.downsample(x)  # a new tensor: what was found stays as it is
        return found
