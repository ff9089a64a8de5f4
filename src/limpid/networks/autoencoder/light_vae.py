"""A light decoder, to be distilled from a full one: it works at the size of the LR frames and adds to their bicubic
upscaling.

What is different from the small decoders that are known for pictures (TAESD, O. Bohan 2023: residual blocks of plain
convolutions, no norms, no attention): it sees the LR frames, so that it has only the missing detail to draw; no layer
works on pictures larger than the latents, the last one gives all output pixels of a place at once; and some blocks see
the frames before and after, by shifted channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from limpid.networks.autoencoder.base import EncodedByImage
from limpid.networks.autoencoder.interface import checked_lr
from limpid.networks.temporal.norm import NormScope
from limpid.networks.temporal.shift import shift_time

SHIFTED_SHARE = 8
"""Channels per shifted channel: one part in so many comes from the frame before, and as many from the frame after."""


class LightBlock(nn.Module):
    """A residual block ``relu(x + f(x))``, ``f`` two 3x3 convolutions.

    ``shift`` channels come from either neighbour in time.
    """

    def __init__(self, channels: int, shift: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.shift = shift

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """``(b t) c h w`` to the same, a new tensor."""
        h = F.relu(self.conv1(shift_time(x, num_frames, self.shift) if self.shift else x), inplace=True)
        return F.relu(x + self.conv2(h), inplace=True)


class LightResidual(nn.Module):
    """The light decoder's network: latents and LR frames to what the bicubically upscaled frames lack.

    Made anew, that is nothing.
    """

    def __init__(
        self, latent_channels: int, lr_channels: int, out_channels: int, width: int, blocks: int, shifts: Sequence[int]
    ) -> None:
        super().__init__()
        if any(not 0 <= block < blocks for block in shifts) or len(set(shifts)) != len(shifts):
            raise ValueError(f"blocks {tuple(shifts)} cannot mix time where there are {blocks}, counted from 0")
        if shifts and width < 2 * SHIFTED_SHARE:
            raise ValueError(f"{width} channels are too few to mix time; at least {2 * SHIFTED_SHARE}, or no shifts")
        self.conv_z = nn.Conv2d(latent_channels, width, 3, padding=1)
        self.conv_lr = nn.Conv2d(lr_channels, width, 3, padding=1)
        shift = width // SHIFTED_SHARE
        self.blocks = nn.ModuleList([LightBlock(width, shift if i in shifts else 0) for i in range(blocks)])
        self.conv_out = nn.Conv2d(width, out_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(cast(Tensor, self.conv_out.bias))

    def forward(self, z: Tensor, lr: Tensor, num_frames: int) -> Tensor:
        """``z``: ``(b t) z h w`` of about deviation 1; ``lr``: ``(b t) l h w``; both channels_last and not changed."""
        x = F.relu(self.conv_z(z) + self.conv_lr(lr))
        for block in self.blocks:
            x = block(x, num_frames)
        return cast(Tensor, self.conv_out(x))


class LightVAE(EncodedByImage):
    """An `Autoencoder`: the encoder of a full one, and a decoder of about 1.4 million parameters (by default).

    ``block_out_channels`` decides, as in its siblings, how many pixels a latent pixel stands for (4, or 8 for four
    widths); the decoder differs in nothing else but the LR pixels it is told of per latent pixel. One frame of the
    output depends on ``reach_frames`` frames to either side. Norms are the encoder's alone, as ``norm_scope`` says.
    """

    _group_offload_block_modules = ("quant_conv", "encoder", "decoder")
    _supports_gradient_checkpointing = False

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        latent_channels: int = 4,
        block_out_channels: tuple[int, ...] = (128, 256, 512),
        layers_per_block: int = 2,
        norm_num_groups: int = 32,
        scaling_factor: float = 0.08333,
        norm_scope: NormScope = "frame",
        scale: int = 4,
        width: int = 96,
        blocks: int = 8,
        shifts: tuple[int, ...] = (2, 5),
    ) -> None:
        """``scale``: how much larger than the LR frames the output is; ``shifts``: the blocks that mix time."""
        super().__init__()  # type: ignore[no-untyped-call]
        widths = tuple(block_out_channels)
        self._make_encoder(in_channels, latent_channels, widths, layers_per_block, norm_num_groups, norm_scope)
        del self.post_quant_conv  # a linear map before another one
        if self.pixels_per_latent % scale:
            raise ValueError(f"latent pixels stand for {self.pixels_per_latent} pixels, no multiple of scale {scale}")
        self.lr_per_latent = self.pixels_per_latent // scale
        lr_channels, patch = in_channels * self.lr_per_latent**2, out_channels * self.pixels_per_latent**2
        self.decoder = LightResidual(latent_channels, lr_channels, patch, width, blocks, shifts)

    @property
    def reach_frames(self) -> int:
        """Frames before, and after, that a frame of the output depends on."""
        return len(cast(Any, self.config).shifts)

    def _decode(self, z: Tensor, num_frames: int, lr: Tensor | None, lr_weight: float) -> Tensor:
        """``lr``: ``(b t) 3 lh lw`` in [-1, 1] with ``l`` LR pixels per latent pixel; the result has its number format.

        Raises ValueError without LR frames: there is nothing to decode that they are not part of.
        """
        if lr_weight != 1:
            raise ValueError(f"lr_weight is {lr_weight:g}; this decoder draws on top of the LR frames, at weight 1")
        config = cast(Any, self.config)
        # what bicubic upscaling lacks, drawn at the size of the latents, and added
        told = checked_lr(lr, z, self.frame_channels, self.lr_per_latent)
        missing = self.decoder(z * config.scaling_factor, F.pixel_unshuffle(told, self.lr_per_latent), num_frames)
        upscaled = F.interpolate(cast(Tensor, lr), scale_factor=config.scale, mode="bicubic", align_corners=False)
        return upscaled + F.pixel_shuffle(missing, self.pixels_per_latent)
