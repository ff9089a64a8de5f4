"""The blocks of a U-Net on frames: downwards, in the middle, upwards.

``emb`` is what the residual blocks are told: the time embedding ``b e`` after SiLU, or more than it, see
`limpid.networks.unet.mgld_vsr_spade`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.temporal.layout import channels_last
from limpid.networks.temporal.norm import NormScope
from limpid.networks.temporal.positions import FramePositions
from limpid.networks.temporal.resnet import ResnetBlock
from limpid.networks.unet.transformer import SpatialTransformer


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockOptions:
    """Options that all blocks of a U-Net have in common."""

    time_channels: int
    heads: int
    cross_attention_dim: int
    groups: int
    norm_scope: NormScope
    temporal: bool
    msta: bool

    def resnet(self, in_channels: int, out_channels: int) -> ResnetBlock:
        return ResnetBlock(
            in_channels,
            out_channels,
            time_channels=self.time_channels,
            groups=self.groups,
            norm_scope=self.norm_scope,
        )

    def transformer(self, channels: int, only_cross: bool) -> SpatialTransformer:
        return SpatialTransformer(
            channels,
            self.heads,
            self.cross_attention_dim,
            groups=self.groups,
            norm_scope=self.norm_scope,
            only_cross=only_cross,
            temporal=self.temporal,
            msta=self.msta,
        )


class SideInputs(NamedTuple):
    """What a branch beside a U-Net adds to it (Zhang et al. 2023, ControlNet): to what goes up, and in the middle."""

    skips: tuple[Tensor, ...]
    """One for each skip tensor, in the order in which they are made."""
    middle: Tensor


class Resample(nn.Module):
    """A 3x3 convolution called ``conv``: with stride 2, or after enlarging to ``size`` by nearest neighbours."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        if size is not None:
            x = channels_last(F.interpolate(x, size, mode="nearest"))
        return channels_last(self.conv(x))


class UNetBlock(nn.Module):
    """A level of a U-Net: residual blocks, each followed by a transformer where the level has them."""

    def __init__(
        self,
        widths: Sequence[tuple[int, int]],
        options: BlockOptions,
        *,
        attentions: int = 0,
        only_cross: bool = False,
    ) -> None:
        """``widths``: channels in and out of each residual block; ``attentions``: how many of them have one after."""
        super().__init__()
        out = widths[-1][1]
        self.resnets = nn.ModuleList([options.resnet(*width) for width in widths])
        if attentions:
            self.attentions = nn.ModuleList([options.transformer(out, only_cross) for _ in range(attentions)])
        self.num_attentions = attentions
        self.gradient_checkpointing = False
        self._gradient_checkpointing_func: Any = None

    def layer(self, index: int, x: Tensor, emb: Any, text: Tensor, positions: FramePositions) -> Tensor:
        """The output of residual block ``index`` and its transformer."""
        x = self._run(self.resnets[index], x, positions.num_frames, emb)
        if index < self.num_attentions:
            x = self._run(self.attentions[index], x, text, positions)
        return x

    def _run(self, module: nn.Module, *args: Any) -> Tensor:
        """The output of a part; in training, if asked to, without keeping what is inside it (checkpointing)."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            out: Tensor = self._gradient_checkpointing_func(module, *args)
        else:
            out = module(*args)
        return out


class UNetDownBlock(UNetBlock):
    """A level on the way down: keeps what it computed for the way up; halves the size at its end unless last."""

    def __init__(
        self, in_channels: int, channels: int, layers: int, options: BlockOptions, *, last: bool, **attention: Any
    ) -> None:
        super().__init__([(in_channels if n == 0 else channels, channels) for n in range(layers)], options, **attention)
        self.downsamplers = None if last else nn.ModuleList([Resample(channels, stride=2)])

    def forward(self, x: Tensor, emb: Any, text: Tensor, positions: FramePositions) -> tuple[Tensor, list[Tensor]]:
        """``x``: ``(b t) c h w``; ``emb``: see above; ``text``: ``b n e`` -> output, skip tensors."""
        skips = []
        for index in range(len(self.resnets)):
            x = self.layer(index, x, emb, text, positions)
            skips.append(x)
        if self.downsamplers is not None:
            x = self.downsamplers[0](x)
            skips.append(x)
        return x, skips


class UNetMidBlock(UNetBlock):
    """The middle of a U-Net: residual block, transformer, residual block."""

    def __init__(self, channels: int, options: BlockOptions) -> None:
        super().__init__([(channels, channels)] * 2, options, attentions=1)

    def forward(self, x: Tensor, emb: Any, text: Tensor, positions: FramePositions) -> Tensor:
        """``x``: ``(b t) c h w`` to the same; arguments as those of `UNetDownBlock`, without skip tensors."""
        for index in range(len(self.resnets)):
            x = self.layer(index, x, emb, text, positions)
        return x


class UNetUpBlock(UNetBlock):
    """A level on the way up: one skip tensor per residual block, the last one first; enlarges at its end.

    The ``last`` level keeps its size.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        skips: Sequence[int],
        options: BlockOptions,
        *,
        last: bool,
        **attention: Any,
    ) -> None:
        """``skips``: channels of the skip tensors in the order in which they are used."""
        widths = [((in_channels if n == 0 else channels) + skip, channels) for n, skip in enumerate(skips)]
        super().__init__(widths, options, **attention)
        self.upsamplers = None if last else nn.ModuleList([Resample(channels, stride=1)])

    def forward(
        self,
        x: Tensor,
        skips: list[Tensor],
        emb: Any,
        text: Tensor,
        positions: FramePositions,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """``skips``: used from the end, and dropped as they are used; ``size``: height and width of the output.

        The caller must not count on the list being emptied: offloading hands over a copy.
        """
        for index in range(len(self.resnets)):
            # a concatenation of channels_last tensors is channels_last
            x = self.layer(index, torch.cat((x, skips.pop()), dim=1), emb, text, positions)
        if self.upsamplers is not None:
            x = self.upsamplers[0](x, size)
        return x
