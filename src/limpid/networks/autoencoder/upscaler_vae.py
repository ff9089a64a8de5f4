"""The autoencoder of the Stable Diffusion x4 upscaler, and Upscale-A-Video's extension of it for video."""

from __future__ import annotations

from functools import partial
from typing import cast

from diffusers.configuration_utils import register_to_config
from torch import Tensor

from limpid.networks.autoencoder.attention import SpatialAttention
from limpid.networks.autoencoder.base import EncodedByImage
from limpid.networks.autoencoder.blocks import Resnet, VideoResnet
from limpid.networks.autoencoder.decoder import LatentDecoder, LRCondition
from limpid.networks.autoencoder.interface import checked_lr
from limpid.networks.temporal.norm import NormScope


class UpscalerVAE(EncodedByImage):
    """An `Autoencoder` with latents a quarter of the picture's height and width.

    With ``temporal_decoder`` and ``lr_condition`` it is the fine-tuned decoder of UAV section 3.2: a residual 3x3x3
    convolution after every residual block of the decoder, and an SFT by the LR frames right after its first layer.
    As made anew, both do nothing or little: the convolutions are zero, and ``lr_weight`` 0 leaves the SFT out.

    ``norm_scope``: whether group norms take their statistics over all frames of a call (``window``, what UAV's weights
    were trained with) or of each frame.
    """

    _group_offload_block_modules = ("quant_conv", "post_quant_conv", "encoder", "condition", "decoder")

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
        temporal_decoder: bool = False,
        lr_condition: bool = False,
        lr_channels: int = 128,
        norm_scope: NormScope = "frame",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        widths, groups = tuple(block_out_channels), norm_num_groups
        make = partial(VideoResnet if temporal_decoder else Resnet, groups=groups, norm_scope=norm_scope)
        self._make_encoder(in_channels, latent_channels, widths, layers_per_block, groups, norm_scope)
        attention = SpatialAttention(widths[-1], groups)
        self.decoder = LatentDecoder(
            latent_channels, out_channels, widths, layers_per_block, groups, norm_scope, make, attention
        )
        self.condition = LRCondition(in_channels, lr_channels, widths[-1], groups, norm_scope) if lr_condition else None

    def _decode(self, z: Tensor, num_frames: int, lr: Tensor | None, lr_weight: float) -> Tensor:
        if self.condition is None or lr_weight == 0:
            return cast(Tensor, self.decoder(self.post_quant_conv(z), num_frames))
        lr = checked_lr(lr, z, self.frame_channels)
        adapt = partial(self.condition, lr=lr, num_frames=num_frames, weight=lr_weight)
        return cast(Tensor, self.decoder(self.post_quant_conv(z), num_frames, adapt))
