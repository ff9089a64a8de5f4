"""The U-Net of Upscale-A-Video, DiffVSR and LaVie's super-resolution: the SD x4 upscaler with layers over time.

What is new in it against the image model: a residual block over time before each transformer, attention over time
inside it (with a coarse second scale for DiffVSR), and a temporal module after each block. Frames are folded into the
batch, ``(b t) c h w``, in channels_last memory from end to end, so that attention, group norms over a window and
convolutions over time all read the same memory without copying it.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from limpid.networks.temporal.convolution import as_clips, as_frames
from limpid.networks.temporal.layout import channels_last
from limpid.networks.temporal.module import TemporalModule
from limpid.networks.temporal.norm import WindowGroupNorm
from limpid.networks.temporal.positions import FramePositions, frame_positions
from limpid.networks.unet.blocks import BlockOptions, SideInputs, UNetDownBlock, UNetMidBlock, UNetUpBlock
from limpid.networks.unet.transformer import TransformerBlock


class TemporalUNet(ModelMixin, ConfigMixin):  # type: ignore[misc]  # the library disagrees with itself
    """The upscalers' denoiser: predicts v (or eps, x0: whatever it was trained for) of a window of frames.

    ``num_heads`` is what the official files call ``attention_head_dim``. ``only_cross_attention`` says for each level
    whether the first attention of a transformer looks at the text instead of the picture. ``norm_scope``: whether group
    norms pool over all frames of a call or take each by itself. ``msta``: the coarse branch of DiffVSR. Without
    ``temporal`` no layer over time exists, norms are per frame, and the network is the image model. Where
    ``num_noise_levels`` is None, it is not told how noised the LR frames are.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules: Any = ("ResnetBlock", "SpatialTransformer", "TemporalModule")
    _repeated_blocks: Any = ("TransformerBlock", "ResnetBlock")

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        in_channels: int = 7,
        out_channels: int = 4,
        block_out_channels: tuple[int, ...] = (256, 512, 512, 1024),
        layers_per_block: int = 2,
        num_heads: int = 8,
        cross_attention_dim: int = 1024,
        norm_num_groups: int = 32,
        num_noise_levels: int | None = 1000,
        only_cross_attention: tuple[bool, ...] = (True, True, True, False),
        msta: bool = False,
        norm_scope: Literal["window", "frame"] = "window",
        temporal: bool = True,
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
            norm_scope=norm_scope if temporal else "frame",
            temporal=temporal,
            msta=msta,
        )
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.time_proj = Timesteps(widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(widths[0], options.time_channels)
        levels = None if num_noise_levels is None else nn.Embedding(num_noise_levels, options.time_channels)
        self.class_embedding = levels
        self.down_blocks = unet_down_blocks(widths, crosses, layers_per_block, options)
        self.mid_block = UNetMidBlock(widths[-1], options)
        self.up_blocks = _up_blocks(widths, crosses, layers_per_block, options)
        self.down_temporal = nn.ModuleList([_temporal(width, options) for width in widths])
        self.mid_temporal = _temporal(widths[-1], options)
        self.up_temporal = nn.ModuleList([_temporal(width, options) for width in reversed(widths)])
        self.conv_norm_out = WindowGroupNorm(norm_num_groups, widths[0], 1e-5, options.norm_scope)
        self.conv_out = nn.Conv2d(widths[0], out_channels, 3, padding=1)

    @property
    def self_attentions(self) -> tuple[tuple[str, nn.Module], ...]:
        """Names and layers of the self-attention in space, from input to output, where it does not look at the text."""
        return tuple(
            (f"{name}.attn1", module.attn1)
            for name, module in self.named_modules()
            if isinstance(module, TransformerBlock) and not module.only_cross
        )

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        *,
        low_res: Tensor,
        encoder_hidden_states: Tensor,
        noise_level: Tensor | None = None,
        side: SideInputs | None = None,
    ) -> Tensor:
        """``sample``: ``b 4 t h w``; ``timestep``: one number or ``(b,)``; ``low_res``: ``b 3 t h w``, LR frames in
        [-1, 1] with noise of ``noise_level``, ``(b,)`` int; ``encoder_hidden_states``: ``b n c``, the embedded text;
        ``side``: what a branch beside this network adds to it.

        Returns the prediction ``b 4 t h w``. Any height and width; frames are numbered from 0 in each call.
        """
        # f(z_t, x_tau; c, t): noisy latent and noised LR frames side by side, frames in the batch
        x = channels_last(as_frames(torch.cat((sample, low_res.to(sample.dtype)), dim=1)))
        positions = frame_positions(sample.shape[2], sample.device, sample.dtype)
        emb = self._embed(sample, timestep, noise_level)
        x = self._layers(self.conv_in(x), emb, encoder_hidden_states, positions, side)
        x = self.conv_out(F.silu(self.conv_norm_out(x, positions.num_frames), inplace=True))
        return as_clips(x, positions.num_frames)

    def _embed(self, sample: Tensor, timestep: Tensor | float, noise_level: Tensor | None) -> Tensor:
        """Embedding of time t and noise level tau for the residual blocks, ``b e``, after the SiLU they begin with."""
        steps = torch.as_tensor(timestep, device=sample.device).reshape(-1).expand(len(sample))
        time = self.time_embedding(self.time_proj(steps).to(sample.dtype))
        if self.class_embedding is None:
            return F.silu(time)
        if noise_level is None:
            raise ValueError("this network is told how noised the LR frames are; give noise_level")
        levels = self.class_embedding(noise_level.to(sample.device).reshape(-1).expand(len(sample)))
        return F.silu(time + levels)

    def _layers(
        self, x: Tensor, emb: Tensor, text: Tensor, positions: FramePositions, side: SideInputs | None
    ) -> Tensor:
        """All levels: down, middle, up. Skip tensors are taken before the temporal module of their level."""
        skips = [x]
        for index, down in enumerate(self.down_blocks):
            x, new = down(x, emb, text, positions)
            skips += new
            x = self.down_temporal[index](x, emb, positions.num_frames)
        x = self.mid_block(x, emb, text, positions)
        x = self.mid_temporal(x, emb, positions.num_frames)
        if side is not None:
            skips, x = [skip + more for skip, more in zip(skips, side.skips, strict=True)], x + side.middle
        for index, up in enumerate(self.up_blocks):
            taken = len(cast(UNetUpBlock, up).resnets)
            own, skips = skips[-taken:], skips[:-taken]
            size = (skips[-1].shape[2], skips[-1].shape[3]) if skips else None
            x = up(x, own, emb, text, positions, size)
            x = self.up_temporal[index](x, emb, positions.num_frames)
        return x


class NoTemporalModule(nn.Module):
    """The temporal module of the image model, which has none: its input."""

    def forward(self, x: Tensor, emb: Tensor, num_frames: int) -> Tensor:
        return x


def _temporal(width: int, options: BlockOptions) -> nn.Module:
    if not options.temporal:
        return NoTemporalModule()
    return TemporalModule(width, time_channels=options.time_channels, norm_scope=options.norm_scope)


def unet_down_blocks(
    widths: tuple[int, ...], crosses: tuple[bool, ...], layers: int, options: BlockOptions
) -> nn.ModuleList:
    """The levels on the way down; all but the first have transformers."""
    return nn.ModuleList(
        [
            UNetDownBlock(
                widths[max(level - 1, 0)],
                width,
                layers,
                options,
                last=level == len(widths) - 1,
                attentions=layers if level else 0,
                only_cross=crosses[level],
            )
            for level, width in enumerate(widths)
        ]
    )


def _up_blocks(widths: tuple[int, ...], crosses: tuple[bool, ...], layers: int, options: BlockOptions) -> nn.ModuleList:
    """The levels on the way up; each takes the skip tensors of its own level and the one that came down into it."""
    blocks = []
    for level in reversed(range(len(widths))):
        width, above = widths[level], widths[max(level - 1, 0)]
        below = widths[min(level + 1, len(widths) - 1)]
        block = UNetUpBlock(
            below,
            width,
            [width] * layers + [above],
            options,
            last=level == 0,
            attentions=layers + 1 if level else 0,
            only_cross=crosses[level],
        )
        blocks.append(block)
    return nn.ModuleList(blocks)
