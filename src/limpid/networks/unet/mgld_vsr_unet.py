"""The U-Net of MGLD-VSR: Stable Diffusion 2.1 told of the input's structure in every residual block, and over time in
its middle.

Frames are folded into the batch, ``(b t) c h w``, in channels_last memory from end to end. Structure is found by level,
so latents may have any size: sizes of levels are halves rounded up, and the way up enlarges to the skip tensor's size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from limpid.networks.temporal.attention import TemporalAttention
from limpid.networks.temporal.convolution import as_clips, as_frames
from limpid.networks.temporal.layout import as_maps, as_tokens, channels_last, mixed
from limpid.networks.temporal.mgld_vsr_mixing import TemporalMixing
from limpid.networks.temporal.norm import WindowGroupNorm
from limpid.networks.temporal.positions import FramePositions, frame_positions
from limpid.networks.unet.blocks import BlockOptions, UNetBlock, UNetDownBlock, UNetUpBlock
from limpid.networks.unet.mgld_vsr_spade import SpadeResnetBlock, StructureTold
from limpid.networks.unet.mgld_vsr_structure import StructureEncoder


@dataclass(frozen=True, kw_only=True, slots=True)
class MGLDVSRBlockOptions(BlockOptions):
    """Options of blocks whose residual parts are told a `StructureTold`."""

    structure_channels: int
    head_channels: int

    def resnet(self, in_channels: int, out_channels: int) -> SpadeResnetBlock:
        return SpadeResnetBlock(
            in_channels,
            out_channels,
            time_channels=self.time_channels,
            structure_channels=self.structure_channels,
            groups=self.groups,
        )

    def of_width(self, channels: int) -> MGLDVSRBlockOptions:
        """These options with as many heads as a level of that width has."""
        return replace(self, heads=channels // self.head_channels)


class MixedAttention(nn.Module):
    """Attention over the frames of each place, mixed in: ``alpha attention(norm(x)) + (1 - alpha) x``.

    ``alpha`` begins with 0.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attn = TemporalAttention(channels, heads, positions=False)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, positions: FramePositions) -> Tensor:
        """``(b t) c h w`` channels_last to the same, a new tensor."""
        tokens = as_tokens(x)
        tokens = mixed(tokens, self.attn(self.norm(tokens), positions), self.alpha)
        return channels_last(as_maps(tokens, *x.shape[-2:]))


class TemporalMiddle(UNetBlock):
    """The middle of MGLD-VSR's U-Net, which alone looks over time.

    Residual block, convolution over time, transformer, attention over time, residual block, convolution over time.

    With all three ``alpha`` 0 it is the middle of the image model.
    """

    def __init__(self, channels: int, options: MGLDVSRBlockOptions) -> None:
        super().__init__([(channels, channels)] * 2, options, attentions=1)
        self.temporal_convs = nn.ModuleList([TemporalMixing(channels) for _ in range(2)])
        self.temporal_attention = MixedAttention(channels, options.heads)

    def forward(self, x: Tensor, told: StructureTold, text: Tensor, positions: FramePositions) -> Tensor:
        """``(b t) c h w`` to the same; arguments as those of `limpid.networks.unet.blocks.UNetMidBlock`."""
        count = positions.num_frames
        x = self.temporal_convs[0](self._run(self.resnets[0], x, count, told), count)
        x = self.temporal_attention(self._run(self.attentions[0], x, text, positions), positions)
        return cast(Tensor, self.temporal_convs[1](self._run(self.resnets[1], x, count, told), count))


class StructuredUNet(ModelMixin, ConfigMixin):  # type: ignore[misc]  # the library disagrees with itself
    """MGLD-VSR's denoiser: predicts the noise of a window of frames.

    The structure encoder is part of it, because both run at every step. Defaults are those of the released network.
    ``head_channels``: width of an attention head, at every level.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules: Any = (
        "SpadeResnetBlock",
        "ResnetBlock",
        "SpatialTransformer",
        "TemporalMixing",
        "MixedAttention",
        "MapAttention",
    )
    _repeated_blocks: Any = ("TransformerBlock", "SpadeResnetBlock")

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        in_channels: int = 4,
        out_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        head_channels: int = 64,
        cross_attention_dim: int = 1024,
        norm_num_groups: int = 32,
        structure_in_channels: int = 4,
        structure_channels: int = 256,
        structure_block_channels: tuple[int, ...] = (256, 256, 512, 512),
        structure_layers_per_block: int = 2,
        structure_heads: int = 4,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        widths = tuple(block_out_channels)
        if len(structure_block_channels) != len(widths):
            raise ValueError(f"the structure encoder has {len(structure_block_channels)} levels, not {len(widths)}")
        options = MGLDVSRBlockOptions(
            time_channels=4 * widths[0],
            heads=1,
            cross_attention_dim=cross_attention_dim,
            groups=norm_num_groups,
            norm_scope="frame",
            temporal=False,
            msta=False,
            structure_channels=structure_channels,
            head_channels=head_channels,
        )
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.time_proj = Timesteps(widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(widths[0], options.time_channels)
        self.down_blocks = _down_blocks(widths, layers_per_block, options)
        self.mid_block = TemporalMiddle(widths[-1], options.of_width(widths[-1]))
        self.up_blocks = _up_blocks(widths, layers_per_block, options)
        self.conv_norm_out = WindowGroupNorm(norm_num_groups, widths[0], 1e-5, "frame")
        self.conv_out = nn.Conv2d(widths[0], out_channels, 3, padding=1)
        self.structure = StructureEncoder(
            in_channels=structure_in_channels,
            out_channels=structure_channels,
            block_out_channels=tuple(structure_block_channels),
            layers_per_block=structure_layers_per_block,
            heads=structure_heads,
            groups=norm_num_groups,
        )

    @property
    def self_attentions(self) -> tuple[tuple[str, nn.Module], ...]:
        """Names and layers of the self-attention in space, from input to output; not those of the structure encoder."""
        return tuple((name, module) for name, module in self.named_modules() if name.endswith(".attn1"))

    def forward(
        self, sample: Tensor, timestep: Tensor | float, *, structure: Tensor, encoder_hidden_states: Tensor
    ) -> Tensor:
        """``sample``: ``b 4 t h w``; ``timestep``: one number or ``(b,)``; ``structure``: ``b 4 t h w``, the latent of
        the upscaled input; ``encoder_hidden_states``: the embedded text, ``b n c``, or ``(b t) n c`` for each frame.

        Returns the predicted noise ``b 4 t h w``. Any height and width.
        """
        count = sample.shape[2]
        steps = torch.as_tensor(timestep, device=sample.device).reshape(-1).expand(len(sample))
        # the structure of the input at every level, as this step needs it
        levels = self.structure(as_frames(structure.to(sample.dtype)), count, steps)
        # eps(z_t; t, structure, text)
        emb = F.silu(self.time_embedding(self.time_proj(steps).to(sample.dtype)))
        x = self.conv_in(channels_last(as_frames(sample)))
        positions = frame_positions(count, sample.device, sample.dtype)
        x = self._layers(x, [StructureTold(emb, level) for level in levels], encoder_hidden_states, positions)
        x = self.conv_out(F.silu(self.conv_norm_out(x, count), inplace=True))
        return as_clips(x, count)

    def _layers(self, x: Tensor, told: list[StructureTold], text: Tensor, positions: FramePositions) -> Tensor:
        """All levels: down, middle, up; ``told`` has one entry for each."""
        skips = [x]
        for down, own in zip(self.down_blocks, told, strict=True):
            x, new = down(x, own, text, positions)
            skips += new
        x = self.mid_block(x, told[-1], text, positions)
        for up, own in zip(self.up_blocks, reversed(told), strict=True):
            taken = len(cast(UNetUpBlock, up).resnets)
            here, skips = skips[-taken:], skips[:-taken]
            size = (skips[-1].shape[2], skips[-1].shape[3]) if skips else None
            x = up(x, here, own, text, positions, size)
        return x


def _down_blocks(widths: tuple[int, ...], layers: int, options: MGLDVSRBlockOptions) -> nn.ModuleList:
    """The levels on the way down; all but the last have transformers."""
    return nn.ModuleList(
        [
            UNetDownBlock(
                widths[max(level - 1, 0)],
                width,
                layers,
                options.of_width(width),
                last=level == len(widths) - 1,
                attentions=layers if level < len(widths) - 1 else 0,
            )
            for level, width in enumerate(widths)
        ]
    )


def _up_blocks(widths: tuple[int, ...], layers: int, options: MGLDVSRBlockOptions) -> nn.ModuleList:
    """The levels on the way up; each takes the skip tensors of its own level and the one that came down into it."""
    blocks = []
    for level in reversed(range(len(widths))):
        width, last = widths[level], len(widths) - 1
        block = UNetUpBlock(
            widths[min(level + 1, last)],
            width,
            [width] * layers + [widths[max(level - 1, 0)]],
            options.of_width(width),
            last=level == 0,
            attentions=layers + 1 if level < last else 0,
        )
        blocks.append(block)
    return nn.ModuleList(blocks)
