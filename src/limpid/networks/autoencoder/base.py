"""The base of the autoencoders: the encoder of the image autoencoder, files, and checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from diffusers.configuration_utils import ConfigMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from limpid.networks.autoencoder.encoder import LatentEncoder
from limpid.networks.autoencoder.interface import checked_frames, split_moments
from limpid.networks.temporal.norm import NormScope


class EncodedByImage(ModelMixin, ConfigMixin):  # type: ignore[misc]  # the library disagrees with itself
    """An `Autoencoder` whose encoder looks at single frames (with pooled norms, at what their statistics say)."""

    _supports_group_offloading = True
    _supports_gradient_checkpointing = True

    def _make_encoder(
        self,
        frame_channels: int,
        latent_channels: int,
        widths: Sequence[int],
        layers: int,
        groups: int,
        scope: NormScope,
        attention: nn.Module | None = None,
    ) -> None:
        self.frame_channels, self.latent_channels = frame_channels, latent_channels
        self.pixels_per_latent = 2 ** (len(widths) - 1)
        self.encoder = LatentEncoder(frame_channels, latent_channels, widths, layers, groups, scope, attention)
        self.quant_conv = nn.Conv2d(2 * latent_channels, 2 * latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def encode(self, frames: Tensor, num_frames: int = 1) -> tuple[Tensor, Tensor]:
        """Frames to mean and log variance of their latents, see `Autoencoder.encode`.

        Raises ValueError for sizes that are not multiples of 4 (2 per level).
        """
        frames = checked_frames(frames, num_frames, self.frame_channels, self.pixels_per_latent)
        return split_moments(self.quant_conv(self.encoder(frames, num_frames)))

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def decode(self, z: Tensor, num_frames: int = 1, lr: Tensor | None = None, lr_weight: float = 1.0) -> Tensor:
        """Latents to frames, see `Autoencoder.decode`.

        Where there is nothing to condition on it, ``lr`` is not looked at.
        """
        return self._decode(checked_frames(z, num_frames, self.latent_channels, 1), num_frames, lr, lr_weight)

    def _decode(self, z: Tensor, num_frames: int, lr: Tensor | None, lr_weight: float) -> Tensor:
        raise NotImplementedError

    def forward(self, frames: Tensor, num_frames: int = 1, lr: Tensor | None = None) -> Tensor:
        """Frames encoded and decoded again, from the mean."""
        return cast(Tensor, self.decode(self.encode(frames, num_frames)[0], num_frames, lr))
