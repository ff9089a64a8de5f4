"""TE-3DVAE, the autoencoder of DiffVSR: the picture's encoder, and a decoder that works over time at every level."""

from __future__ import annotations

from functools import partial
from typing import cast

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from limpid.autoencoders.attention import SpaceTimeAttention
from limpid.autoencoders.blocks import MixedResnet
from limpid.autoencoders.decoder import Decoder
from limpid.autoencoders.encoder import Encoder
from limpid.autoencoders.interface import checked_frames, split_moments
from limpid.autoencoders.layers import NarrowConv3d


class TemporalVAE(ModelMixin, ConfigMixin):
    """An `Autoencoder` with latents a quarter of the picture's height and width; DiffVSR, section 3.3.

    Norms of pictures are per frame; those of the temporal blocks are taken over all frames of a clip.
    """

    _supports_group_offloading = True
    _group_offload_block_modules = ("quant_conv", "post_quant_conv", "encoder", "decoder", "time_conv_out")

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
        lr_condition: bool = False,
    ) -> None:
        super().__init__()
        if lr_condition:
            raise ValueError("this decoder is not conditioned on the LR frames")
        widths, groups = tuple(block_out_channels), norm_num_groups
        self.encoder = Encoder(in_channels, latent_channels, widths, layers_per_block, groups, "frame")
        self.quant_conv = nn.Conv2d(2 * latent_channels, 2 * latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)
        make = partial(MixedResnet, groups=groups)
        attention = SpaceTimeAttention(widths[-1], groups)
        self.decoder = Decoder(
            latent_channels, out_channels, widths, layers_per_block, groups, "frame", make, attention
        )
        self.time_conv_out = NarrowConv3d(out_channels)

    @apply_forward_hook
    def encode(self, frames: Tensor, num_frames: int = 1) -> tuple[Tensor, Tensor]:
        """See `Autoencoder.encode`. Raises ValueError for sizes that are not multiples of 4 (2 per level)."""
        multiple = 2 ** (len(self.config.block_out_channels) - 1)
        frames = checked_frames(frames, num_frames, self.config.in_channels, multiple)
        return split_moments(self.quant_conv(self.encoder(frames, num_frames)))

    @apply_forward_hook
    def decode(self, z: Tensor, num_frames: int = 1, lr: Tensor | None = None, lr_weight: float = 1.0) -> Tensor:
        """See `Autoencoder.decode`; ``lr`` is not looked at."""
        z = checked_frames(z, num_frames, self.config.latent_channels, 1)
        frames = self.decoder(self.post_quant_conv(z), num_frames)
        return cast(Tensor, self.time_conv_out(frames, num_frames))

    def forward(self, frames: Tensor, num_frames: int = 1, lr: Tensor | None = None) -> Tensor:
        """Frames encoded and decoded again, from the mean."""
        return cast(Tensor, self.decode(self.encode(frames, num_frames)[0], num_frames))
