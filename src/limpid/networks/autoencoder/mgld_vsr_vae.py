"""The autoencoder of MGLD-VSR: Stable Diffusion 2.1's, its decoder looking at neighbours and at the input."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from limpid.networks.autoencoder.attention import SpatialAttention
from limpid.networks.autoencoder.bands import may_work_in_place, row_bands
from limpid.networks.autoencoder.base import EncodedByImage
from limpid.networks.autoencoder.blocks import Resnet
from limpid.networks.autoencoder.decoder import LatentDecoder
from limpid.networks.autoencoder.interface import checked_frames
from limpid.networks.autoencoder.mgld_vsr_fusion import FeatureFusion
from limpid.networks.temporal.mgld_vsr_mixing import TemporalMixing

FUSED_LEVELS = (1, 2)
"""Levels of the decoder at which features are fused: half and a quarter of the picture's size."""

Features = tuple[Tensor, ...]
"""Features of the encoder at `FUSED_LEVELS`: ``(b t) c H/2 W/2`` and ``(b t) c H/4 W/4``."""


class MixingResnet(Resnet):
    """The picture's residual block, then a convolution over time that is mixed in."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__(in_channels, out_channels, groups, "frame")
        self.mixing = TemporalMixing(out_channels)

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """Overwrites ``x`` when autograd is off."""
        x = super().forward(x, num_frames)
        if not may_work_in_place():
            return cast(Tensor, self.mixing(x, num_frames))
        for rows in row_bands(x):
            band = x[:, :, rows]
            band.copy_(self.mixing(band.contiguous(memory_format=torch.channels_last), num_frames))
        return x


class CFWVAE(EncodedByImage):
    """The autoencoder with a sequence decoder and CFW, latents an eighth of the picture's size (MGLD section 3.3).

    `encode` is an `Autoencoder`'s: mean and log variance, not scaled (a mean times ``config.scaling_factor`` is the
    latent that is denoised). `decode` takes, in place of LR frames, what `features` says of the upscaled input.
    Made anew, it is the image autoencoder of Stable Diffusion for weight 0. All norms are per frame.
    """

    _group_offload_block_modules = ("quant_conv", "post_quant_conv", "encoder", "decoder", "fusion")

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        latent_channels: int = 4,
        block_out_channels: tuple[int, ...] = (128, 256, 512, 512),
        layers_per_block: int = 2,
        norm_num_groups: int = 32,
        scaling_factor: float = 0.18215,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        widths, groups = tuple(block_out_channels), norm_num_groups
        if len(widths) <= max(FUSED_LEVELS):
            raise ValueError(f"features are fused at levels 1 and 2, so {len(widths)} levels are too few")
        attend = partial(SpatialAttention, widths[-1], groups, as_convolutions=True)
        self._make_encoder(in_channels, latent_channels, widths, layers_per_block, groups, "frame", attend())
        make = partial(MixingResnet, groups=groups)
        self.decoder = LatentDecoder(
            latent_channels, out_channels, widths, layers_per_block, groups, "frame", make, attend()
        )
        # in the middle only the first block is followed by a convolution over time
        self.decoder.mid_block.resnets[1] = Resnet(widths[-1], widths[-1], groups, "frame")
        self.fusion = nn.ModuleDict({str(level): FeatureFusion(widths[level], groups) for level in FUSED_LEVELS})

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def features(self, frames: Tensor) -> Features:
        """Features that `decode` can follow, of frames ``(b t) 3 H W`` in [-1, 1] as large as those to come out.

        Raises ValueError for sizes that are not multiples of 8 (2 per level).
        """
        frames = checked_frames(frames, 1, self.frame_channels, self.pixels_per_latent)
        return tuple(self.encoder.features(frames, 1, FUSED_LEVELS))

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def decode(self, z: Tensor, num_frames: int = 1, features: Features | None = None, weight: float = 1.0) -> Tensor:
        """``(b t) z h w``, the scaling factor divided out, to ``(b t) 3 8h 8w``, about [-1, 1], not clamped.

        ``weight``: how strongly the encoder's ``features`` are followed; at 0 they are not looked at. Memory is least
        without autograd, and the features are then still whole afterwards. Raises ValueError when they do not fit.
        """
        z = checked_frames(z, num_frames, self.latent_channels, 1)
        at_levels = {} if weight == 0 else self._fusions(checked_features(features, z, self.fused_widths), weight)
        return cast(Tensor, self.decoder(self.post_quant_conv(z), num_frames, at_levels=at_levels))

    @property
    def fused_widths(self) -> list[int]:
        """Channels of the features."""
        widths = cast(Any, self.config).block_out_channels
        return [widths[level] for level in FUSED_LEVELS]

    def _fusions(self, features: Features, weight: float) -> dict[int, Any]:
        """Fusions by level, called by the decoder after its residual blocks; level 0 has the largest pictures."""
        return {
            level: partial(self.fusion[str(level)], features=seen, weight=weight)
            for level, seen in zip(FUSED_LEVELS, features, strict=True)
        }


def checked_features(features: Features | None, z: Tensor, widths: Sequence[int]) -> Features:
    """Features in the number format of ``z``. Raises ValueError when they are needed and do not fit the latents."""
    if features is None:
        raise ValueError("this decoder follows features of the encoder; give features, or weight 0")
    sizes = [(2 ** (3 - level) * z.shape[2], 2 ** (3 - level) * z.shape[3]) for level in FUSED_LEVELS]
    wanted = [(z.shape[0], width, *size) for width, size in zip(widths, sizes, strict=True)]
    if [tuple(seen.shape) for seen in features] != wanted:
        raise ValueError(f"the features must be {wanted}, not {[tuple(seen.shape) for seen in features]}")
    return tuple(seen.to(z.dtype) for seen in features)
