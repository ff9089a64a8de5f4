"""The autoencoder of the Stable Diffusion x4 upscaler, and Upscale-A-Video's extension of it for video."""

from __future__ import annotations

from functools import partial
from typing import cast

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from limpid.autoencoders.attention import SpatialAttention
from limpid.autoencoders.blocks import Resnet, VideoResnet
from limpid.autoencoders.decoder import Decoder, LRCondition
from limpid.autoencoders.encoder import Encoder
from limpid.autoencoders.interface import checked_frames, checked_lr, split_moments
from limpid.temporal.norm import NormScope


class UpscalerVAE(ModelMixin, ConfigMixin):
    """An `Autoencoder` with latents a quarter of the picture's height and width.

    With ``temporal_decoder`` and ``lr_condition`` it is the fine-tuned decoder of UAV, section 3.2: a residual 3x3x3
    convolution after every residual block of the decoder, and an SFT by the LR frames right after its first layer.
    As made anew, both do nothing or little: the convolutions are zero, and ``lr_weight`` 0 leaves the SFT out.

    ``norm_scope``: whether group norms take their statistics over all frames of a call (``window``, what UAV's weights
    were trained with) or of each frame.
    """

    _supports_group_offloading = True
    _group_offload_block_modules = ("quant_conv", "post_quant_conv", "encoder", "condition", "decoder")

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        latent_channels: int = 4,
        block_out_channels: tuple[int, ...] = (128, 256, 512),
        layers_per_block: int = 2,
        norm_num_groups: int = 32,
        scaling_factor: float = 0.08333,
        temporal_decoder: bool = False,
        lr_condition: bool = False,
        lr_channels: int = 128,
        norm_scope: NormScope = "frame",
    ) -> None:
        super().__init__()
        widths, groups = tuple(block_out_channels), norm_num_groups
        make = partial(VideoResnet if temporal_decoder else Resnet, groups=groups, norm_scope=norm_scope)
        self.encoder = Encoder(in_channels, latent_channels, widths, layers_per_block, groups, norm_scope)
        self.quant_conv = nn.Conv2d(2 * latent_channels, 2 * latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)
        attention = SpatialAttention(widths[-1], groups)
        self.decoder = Decoder(
            latent_channels, out_channels, widths, layers_per_block, groups, norm_scope, make, attention
        )
        self.condition = LRCondition(in_channels, lr_channels, widths[-1], groups, norm_scope) if lr_condition else None

    @apply_forward_hook
    def encode(self, frames: Tensor, num_frames: int = 1) -> tuple[Tensor, Tensor]:
        """See `Autoencoder.encode`. Raises ValueError for sizes that are not multiples of 4 (2 per level)."""
        multiple = 2 ** (len(self.config.block_out_channels) - 1)
        frames = checked_frames(frames, num_frames, self.config.in_channels, multiple)
        return split_moments(self.quant_conv(self.encoder(frames, num_frames)))

    @apply_forward_hook
    def decode(self, z: Tensor, num_frames: int = 1, lr: Tensor | None = None, lr_weight: float = 1.0) -> Tensor:
        """See `Autoencoder.decode`. Without ``lr_condition``, ``lr`` is not looked at."""
        z = checked_frames(z, num_frames, self.config.latent_channels, 1)
        if self.condition is None or lr_weight == 0:
            return cast(Tensor, self.decoder(self.post_quant_conv(z), num_frames))
        lr = checked_lr(lr, z, self.config.in_channels)
        adapt = partial(self.condition, lr=lr, num_frames=num_frames, weight=lr_weight)
        return cast(Tensor, self.decoder(self.post_quant_conv(z), num_frames, adapt))

    def forward(self, frames: Tensor, num_frames: int = 1, lr: Tensor | None = None) -> Tensor:
        """Frames encoded and decoded again, from the mean."""
        return cast(Tensor, self.decode(self.encode(frames, num_frames)[0], num_frames, lr))
