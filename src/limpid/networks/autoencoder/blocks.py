"""Residual blocks of the autoencoders and the stacks they form.

Without autograd a block writes its result over its input: hand it a tensor that nothing else needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from limpid.networks.autoencoder.layers import Downsample, Pointwise, SmoothConv2d, SmoothConv3d, Upsample
from limpid.networks.temporal.norm import NormScope, WindowGroupNorm

NORM_EPS = 1e-6
"""Epsilon of all norms that were trained on pictures, and of UAV's."""

MakeResnet = Callable[[int, int], nn.Module]
"""A maker of residual blocks, told ``(channels in, channels out)``; the block is called with frames and
``num_frames``."""

Adapt = Callable[[Tensor], Tensor]
"""A change of features ``(b t) c h w``; it may write over them when autograd is off."""


class Resnet(nn.Module):
    """A picture's residual block: norm, SiLU, convolution, twice; ``(b t) c h w`` to ``(b t) d h w``."""

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, norm_scope: NormScope, in_groups: int | None = None
    ) -> None:
        super().__init__()
        self.norm1 = WindowGroupNorm(in_groups or groups, in_channels, NORM_EPS, norm_scope)
        self.conv1 = SmoothConv2d(in_channels, out_channels)
        self.norm2 = WindowGroupNorm(groups, out_channels, NORM_EPS, norm_scope)
        self.conv2 = SmoothConv2d(out_channels, out_channels)
        self.conv_shortcut = Pointwise(in_channels, out_channels) if in_channels != out_channels else None

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """Overwrites ``x`` when autograd is off."""
        h = self.conv1(x, self.norm1, num_frames)
        residual = x if self.conv_shortcut is None else self.conv_shortcut(x.movedim(1, -1)).movedim(-1, 1)
        return cast(Tensor, self.conv2(h, self.norm2, num_frames, plus=residual))


class VideoResnet(Resnet):
    """The picture's residual block, then a residual 3x3x3 convolution that begins as zero (UAV section 3.2)."""

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, norm_scope: NormScope, in_groups: int | None = None
    ) -> None:
        super().__init__(in_channels, out_channels, groups, norm_scope, in_groups)
        self.temporal_norm = WindowGroupNorm(groups, out_channels, NORM_EPS, norm_scope)
        self.temporal_conv = SmoothConv3d(out_channels)
        nn.init.zeros_(self.temporal_conv.weight)
        nn.init.zeros_(cast(Tensor, self.temporal_conv.bias))

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """Overwrites ``x`` when autograd is off."""
        x = super().forward(x, num_frames)
        return cast(Tensor, self.temporal_conv(x, self.temporal_norm, num_frames, plus=x))


class MixedResnet(nn.Module):
    """A picture's residual block and one over time, mixed with a learned weight (DiffVSR section 3.3).

    ``(1 - s) spatial + s temporal`` with ``s = sigmoid(mix_factor)``; the temporal one is itself a residual on the
    spatial one, so that this is ``spatial + s residual``.
    """

    TEMPORAL_EPS = 1e-5

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.spatial = Resnet(in_channels, out_channels, groups, "frame")
        self.temporal = nn.ModuleDict(
            {
                "norm1": WindowGroupNorm(groups, out_channels, self.TEMPORAL_EPS, "window"),
                "conv1": SmoothConv3d(out_channels),
                "norm2": WindowGroupNorm(groups, out_channels, self.TEMPORAL_EPS, "window"),
                "conv2": SmoothConv3d(out_channels),
            }
        )
        self.mix_factor = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """Overwrites ``x`` when autograd is off."""
        # spatial + s residual over time
        spatial = self.spatial(x, num_frames)
        layers = self.temporal
        h = layers["conv1"](spatial, layers["norm1"], num_frames)
        share = torch.sigmoid(self.mix_factor)
        return cast(Tensor, layers["conv2"](h, layers["norm2"], num_frames, plus=spatial, weight=share))


class DownBlock(nn.Module):
    """A level on the way down: some residual blocks, then half the resolution (``last``: not)."""

    def __init__(self, make: MakeResnet, in_channels: int, out_channels: int, layers: int, last: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([make(out_channels if i else in_channels, out_channels) for i in range(layers)])
        self.downsample = None if last else Downsample(out_channels)

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """``(b t) c h w`` to ``(b t) d h/2 w/2``. Overwrites ``x`` when autograd is off."""
        x = self.residuals(x, num_frames)
        return x if self.downsample is None else self.downsample(x)

    def residuals(self, x: Tensor, num_frames: int) -> Tensor:
        """The residual blocks alone, before the resolution changes: ``(b t) d h w``.

        Overwrites ``x`` when autograd is off.
        """
        for resnet in self.resnets:
            x = resnet(x, num_frames)
        return x


class MidBlock(nn.Module):
    """The middle of an autoencoder: residual block, attention, residual block, all at the lowest resolution."""

    def __init__(self, make: MakeResnet, channels: int, attention: nn.Module) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([make(channels, channels) for _ in range(2)])
        self.attention = attention

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """``(b t) c h w`` to the same. Overwrites ``x`` when autograd is off."""
        x = self.resnets[0](x, num_frames)
        x = self.attention(x, num_frames)
        return cast(Tensor, self.resnets[1](x, num_frames))


class UpBlock(nn.Module):
    """A level on the way up: some residual blocks, then twice the resolution (``last``: not)."""

    def __init__(self, make: MakeResnet, in_channels: int, out_channels: int, layers: int, last: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([make(out_channels if i else in_channels, out_channels) for i in range(layers)])
        self.upsample = None if last else Upsample(out_channels)
        self.gradient_checkpointing = False
        self._gradient_checkpointing_func: Any = None

    def forward(self, x: Tensor, num_frames: int, adapt: Adapt | None = None) -> Tensor:
        """``(b t) c h w`` to ``(b t) d 2h 2w``. Overwrites ``x`` when autograd is off.

        ``adapt`` changes the features before the resolution does.
        """
        for resnet in self.resnets:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = self._gradient_checkpointing_func(resnet, x, num_frames)
            else:
                x = resnet(x, num_frames)
        x = x if adapt is None else adapt(x)
        return x if self.upsample is None else self.upsample(x)
