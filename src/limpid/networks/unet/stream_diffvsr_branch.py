"""The branch of Stream-DiffVSR's denoiser that is told the frame before: a ControlNet (Zhang et al. 2023) beside the
U-Net of the SD x4 upscaler. The paper calls it auto-regressive temporal guidance (ARTG).

It is the way down and the middle of that U-Net once more; what it finds is added to the U-Net's skip tensors and to its
middle. Two convolutions of stride 2 bring the frame before, four times as large as the latents, to their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from limpid.networks.temporal.convolution import as_frames
from limpid.networks.temporal.layout import channels_last
from limpid.networks.temporal.positions import FramePositions, frame_positions
from limpid.networks.unet.blocks import BlockOptions, SideInputs, UNetMidBlock
from limpid.networks.unet.temporal_unet import unet_down_blocks


class PictureEmbedding(nn.Module):
    """Pictures to what is added to the branch's first layer, at ``2 ** (len(widths) - 1)`` times less resolution."""

    def __init__(self, channels: int, widths: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for width, wider in pairwise(widths):
            self.blocks.append(nn.Conv2d(width, width, 3, padding=1))
            self.blocks.append(nn.Conv2d(width, wider, 3, padding=1, stride=2))
        self.conv_out = _idle(nn.Conv2d(widths[-1], out_channels, 3, padding=1))

    def forward(self, pictures: Tensor) -> Tensor:
        """``n c H W`` channels_last to ``n o h w``."""
        x = F.silu(self.conv_in(pictures), inplace=True)
        for convolution in self.blocks:
            x = F.silu(convolution(x), inplace=True)
        return channels_last(self.conv_out(x))


class PreviousFrameBranch(ModelMixin, ConfigMixin):  # type: ignore[misc]  # the library disagrees with itself
    """Stream-DiffVSR's ARTG branch; options as those of `limpid.networks.unet.temporal_unet.TemporalUNet`.

    Made anew, it adds nothing: its last layers are zero.
    """

    _supports_gradient_checkpointing = True

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        in_channels: int = 7,
        block_out_channels: tuple[int, ...] = (256, 512, 512, 1024),
        layers_per_block: int = 2,
        num_heads: int = 8,
        cross_attention_dim: int = 1024,
        norm_num_groups: int = 32,
        only_cross_attention: tuple[bool, ...] = (True, True, True, False),
        picture_channels: int = 3,
        picture_widths: tuple[int, ...] = (64, 128, 256),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        widths, crosses = tuple(block_out_channels), tuple(only_cross_attention)
        if len(crosses) != len(widths):
            raise ValueError(f"only_cross_attention has {len(crosses)} values for {len(widths)} levels")
        options = BlockOptions(
            time_channels=4 * widths[0],
            heads=num_heads,
            cross_attention_dim=cross_attention_dim,
            groups=norm_num_groups,
            norm_scope="frame",
            temporal=False,
            msta=False,
        )
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.time_proj = Timesteps(widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(widths[0], options.time_channels)
        self.controlnet_cond_embedding = PictureEmbedding(picture_channels, tuple(picture_widths), widths[0])
        self.down_blocks = unet_down_blocks(widths, crosses, layers_per_block, options)
        self.mid_block = UNetMidBlock(widths[-1], options)
        self.controlnet_down_blocks = nn.ModuleList(
            [_idle(nn.Conv2d(width, width, 1)) for width in skip_widths(widths, layers_per_block)]
        )
        self.controlnet_mid_block = _idle(nn.Conv2d(widths[-1], widths[-1], 1))

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        *,
        low_res: Tensor,
        previous: Tensor,
        encoder_hidden_states: Tensor,
        strength: float = 1.0,
    ) -> SideInputs:
        """What is added to the U-Net, which is given the same arguments.

        ``sample``: ``b 4 t h w``; ``low_res``: ``b 3 t h w`` in [-1, 1]; ``previous``: the frame before each of them,
        warped to it, ``b 3 t 4h 4w`` in [-1, 1]; ``strength``: a factor of all that is added.
        """
        x = channels_last(as_frames(torch.cat((sample, low_res.to(sample.dtype)), dim=1)))
        pictures = channels_last(as_frames(previous.to(sample.dtype)))
        steps = torch.as_tensor(timestep, device=sample.device).reshape(-1).expand(len(sample))
        emb = F.silu(self.time_embedding(self.time_proj(steps).to(sample.dtype)))
        positions = frame_positions(sample.shape[2], sample.device, sample.dtype)
        x = self.conv_in(x) + self.controlnet_cond_embedding(pictures)
        return self._sides(x, emb, encoder_hidden_states, positions, strength)

    def _sides(self, x: Tensor, emb: Tensor, text: Tensor, positions: FramePositions, strength: float) -> SideInputs:
        skips = [x]
        for down in self.down_blocks:
            x, new = down(x, emb, text, positions)
            skips += new
        x = self.mid_block(x, emb, text, positions)
        pairs = zip(self.controlnet_down_blocks, skips, strict=True)
        return SideInputs(
            skips=tuple(strength * out(skip) for out, skip in pairs), middle=strength * self.controlnet_mid_block(x)
        )


def skip_widths(widths: Sequence[int], layers: int) -> list[int]:
    """Channels of a U-Net's skip tensors: of its first layer, and on each level of its blocks and of halving it."""
    levels = [[width] * (layers + (level < len(widths) - 1)) for level, width in enumerate(widths)]
    return [widths[0], *(width for level in levels for width in level)]


def _idle(convolution: nn.Conv2d) -> nn.Conv2d:
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
    return convolution
