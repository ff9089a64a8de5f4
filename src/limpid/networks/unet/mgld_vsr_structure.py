"""The time-aware encoder of MGLD-VSR: what the U-Net is told of the input at every level, as the step needs it."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn

from limpid.networks.temporal.layout import as_maps, as_tokens, channels_last
from limpid.networks.temporal.norm import WindowGroupNorm
from limpid.networks.temporal.resnet import ResnetBlock
from limpid.networks.unet.blocks import Resample


class TokenConv(nn.Conv1d):
    """A convolution of one place, computed as what it is: a linear layer on tokens ``... c``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """``... c`` to ``... d``."""
        return F.linear(tokens, self.weight.squeeze(-1), self.bias)


class MapAttention(nn.Module):
    """Self-attention of the places of one frame, added to them; queries, keys and values from one convolution."""

    def __init__(self, channels: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = WindowGroupNorm(groups, channels, 1e-5, "frame")
        self.qkv = TokenConv(channels, 3 * channels)
        self.proj_out = TokenConv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``n c h w`` to the same, a new tensor in channels_last memory."""
        # In each head queries, keys and values lie one after the other.
        mixed = self.qkv(as_tokens(self.norm(x))).unflatten(-1, (self.heads, 3, -1))
        q, k, v = mixed.permute(3, 0, 2, 1, 4)
        places = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return as_maps(self.proj_out(places), *x.shape[-2:]).add_(x)


class StructureLevel(nn.Module):
    """A level of the structure encoder: residual blocks, and attention after each where the level has it.

    It halves the size at its end unless it is the ``last``.
    """

    def __init__(
        self, widths: list[tuple[int, int]], *, time_channels: int, groups: int, heads: int | None, last: bool
    ) -> None:
        super().__init__()
        channels = widths[-1][1]
        self.resnets = nn.ModuleList([_resnet(*width, time_channels, groups) for width in widths])
        if heads is not None:
            self.attentions = nn.ModuleList([MapAttention(channels, heads, groups) for _ in widths])
        self.attends = heads is not None
        self.downsamplers = None if last else nn.ModuleList([Resample(channels, stride=2)])

    def forward(self, x: Tensor, num_frames: int, emb: Tensor) -> Tensor:
        """The level before the size is halved: ``(b t) c h w`` to ``(b t) d h w``."""
        for index, resnet in enumerate(self.resnets):
            x = resnet(x, num_frames, emb)
            x = self.attentions[index](x) if self.attends else x
        return x


class Middle(nn.Module):
    """The middle of the structure encoder: residual block, attention, residual block."""

    def __init__(self, channels: int, *, time_channels: int, groups: int, heads: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([_resnet(channels, channels, time_channels, groups) for _ in range(2)])
        self.attentions = nn.ModuleList([MapAttention(channels, heads, groups)])

    def forward(self, x: Tensor, num_frames: int, emb: Tensor) -> Tensor:
        """``(b t) c h w`` to the same."""
        x = self.attentions[0](self.resnets[0](x, num_frames, emb))
        out: Tensor = self.resnets[1](x, num_frames, emb)
        return out


class StructureEncoder(nn.Module):
    """The structure encoder: latents of the upscaled input to features for every level of the U-Net (MGLD section 4.1).

    Levels 0, 1, 2 are taken before their size is halved, the last is the middle's; a residual block each brings them
    to ``out_channels``. All levels but the last have attention. Every frame is by itself; any height and width.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        block_out_channels: tuple[int, ...],
        layers_per_block: int,
        heads: int,
        groups: int,
    ) -> None:
        super().__init__()
        widths, time_channels = block_out_channels, 4 * block_out_channels[0]
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.time_proj = Timesteps(widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(widths[0], time_channels)
        self.levels = nn.ModuleList()
        for level, width in enumerate(widths):
            last, above = level == len(widths) - 1, widths[max(level - 1, 0)]
            channels = [(above if n == 0 else width, width) for n in range(layers_per_block)]
            own = None if last else heads
            self.levels.append(
                StructureLevel(channels, time_channels=time_channels, groups=groups, heads=own, last=last)
            )
        self.middle = Middle(widths[-1], time_channels=time_channels, groups=groups, heads=heads)
        self.outs = nn.ModuleList([_resnet(width, out_channels, time_channels, groups) for width in widths])

    def forward(self, latents: Tensor, num_frames: int, timesteps: Tensor) -> list[Tensor]:
        """``latents``: ``(b t) z h w``; ``timesteps``: ``(b,)``. Per level ``(b t) c h/2^l w/2^l``,
        sizes rounded up."""
        # told the time, down level by level, features taken before each halving, then a block of its own for each
        emb = F.silu(self.time_embedding(self.time_proj(timesteps).to(latents.dtype)))
        x, found = self.conv_in(channels_last(latents)), []
        for level in self.levels:
            x = level(x, num_frames, emb)
            smaller = cast(StructureLevel, level).downsamplers
            if smaller is not None:
                found.append(x)
                x = smaller[0](x)
        found.append(self.middle(x, num_frames, emb))
        return [out(x, num_frames, emb) for out, x in zip(self.outs, found, strict=True)]


def _resnet(in_channels: int, out_channels: int, time_channels: int, groups: int) -> ResnetBlock:
    return ResnetBlock(in_channels, out_channels, time_channels=time_channels, groups=groups, norm_scope="frame")
