"""TE-3DVAE, the autoencoder of DiffVSR: the picture's encoder, and a decoder that works over time at every level."""

from __future__ import annotations

from functools import partial
from typing import cast

from diffusers.configuration_utils import register_to_config
from torch import Tensor

from limpid.networks.autoencoder.attention import SpaceTimeAttention, SpatialAttention
from limpid.networks.autoencoder.base import EncodedByImage
from limpid.networks.autoencoder.blocks import MixedResnet
from limpid.networks.autoencoder.decoder import LatentDecoder
from limpid.networks.autoencoder.layers import NarrowConv3d


class TemporalVAE(EncodedByImage):
    """An `Autoencoder` with latents a quarter of the picture's height and width; DiffVSR section 3.3.

    Norms of pictures are per frame; those of the temporal blocks are taken over all frames of a clip. Without
    ``attention_over_time`` it is the paper's 3DVAE, which has the 3-D residual blocks only.
    """

    _group_offload_block_modules = ("quant_conv", "post_quant_conv", "encoder", "decoder", "time_conv_out")

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
        lr_condition: bool = False,
        attention_over_time: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if lr_condition:
            raise ValueError("this decoder is not conditioned on the LR frames")
        widths, groups = tuple(block_out_channels), norm_num_groups
        self._make_encoder(in_channels, latent_channels, widths, layers_per_block, groups, "frame")
        make = partial(MixedResnet, groups=groups)
        attention = (
            SpaceTimeAttention(widths[-1], groups)
            if attention_over_time
            else SpatialAttention(widths[-1], groups, as_convolutions=True)
        )
        self.decoder = LatentDecoder(
            latent_channels, out_channels, widths, layers_per_block, groups, "frame", make, attention
        )
        self.time_conv_out = NarrowConv3d(out_channels)

    def _decode(self, z: Tensor, num_frames: int, lr: Tensor | None, lr_weight: float) -> Tensor:
        frames = self.decoder(self.post_quant_conv(z), num_frames)
        return cast(Tensor, self.time_conv_out(frames, num_frames))
