"""Stream-DiffVSR's autoencoder: TAESD (O. Bohan 2023) for the SD x4 upscaler, and a decoder that is told the frame
before.

TAESD is residual blocks of plain 3x3 convolutions, no norms, no attention, so a frame takes little time. New in each
block is a *temporal processor*: it sees the block's own features beside those that the encoder finds in the warped
frame before, both averaged over 4x4 places, and adds a small correction. The encoder's blocks have one, too, which is
never used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from limpid.networks.autoencoder.interface import LOGVAR_RANGE, checked_frames
from limpid.networks.temporal.layout import channels_last

_POOL = 4
"""Places along an edge that a temporal processor sees as one."""
_TEMPORAL_WEIGHT = 0.1
"""The factor of what a temporal processor adds."""
_LATENT_LIMIT = 3.0
"""Latents beyond this are pressed together before they are decoded."""


class TAESDBlock(nn.Module):
    """A residual block ``relu(x + f(x))``, ``f`` three 3x3 convolutions, with a temporal processor.

    Made anew, the processor adds nothing.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.conv = nn.Sequential(*layers[:-1])
        self.alpha = nn.Parameter(torch.tensor(0.5))
        last = nn.Conv1d(width, width, 3, padding=1)
        self.temporal_processor = nn.Sequential(nn.Conv1d(width, width, 3, padding=1), nn.ReLU(), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(cast(Tensor, last.bias))

    def forward(self, x: Tensor, previous: Tensor | None = None) -> Tensor:
        """``n c h w`` to the same; ``previous``: features of the frame before, of the same shape."""
        change = self.conv(x)
        if previous is not None and min(x.shape[-2:]) >= _POOL:
            change = change + _TEMPORAL_WEIGHT * self._over_time(change, previous)
        return F.relu(change + x, inplace=True)

    def _over_time(self, now: Tensor, previous: Tensor) -> Tensor:
        """The correction of the features ``now``: both frames as one row of places, through the processor."""
        small = F.avg_pool2d(now, _POOL)
        rows = torch.cat([small.flatten(2), F.avg_pool2d(previous, _POOL).flatten(2)], dim=2)
        own, other = self.temporal_processor(rows).chunk(2, dim=2)
        mixed = (self.alpha * own + (1 - self.alpha) * other).unflatten(2, small.shape[-2:])
        return F.interpolate(mixed, now.shape[-2:], mode="bilinear", align_corners=False)


class TAESDEncoder(nn.Module):
    """Pictures in [0, 1] to latents: each level but the first halves the size."""

    def __init__(self, channels: int, latent_channels: int, width: int, blocks: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level, count in enumerate(blocks):
            first = nn.Conv2d(width, width, 3, padding=1, stride=2, bias=False)
            layers.append(first if level else nn.Conv2d(channels, width, 3, padding=1))
            layers += [TAESDBlock(width) for _ in range(count)]
        self.layers = nn.ModuleList([*layers, nn.Conv2d(width, latent_channels, 3, padding=1)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x

    def features(self, x: Tensor) -> list[Tensor]:
        """Outputs of the blocks, from large to small."""
        found = []
        for layer in self.layers[:-1]:
            x = layer(x)
            if isinstance(layer, TAESDBlock):
                found.append(x)
        return found


class TAESDDecoder(nn.Module):
    """Latents to pictures in [0, 1]: each level but the last doubles the size."""

    def __init__(self, latent_channels: int, channels: int, width: int, blocks: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(latent_channels, width, 3, padding=1), nn.ReLU()]
        for level, count in enumerate(blocks):
            layers += [TAESDBlock(width) for _ in range(count)]
            if level < len(blocks) - 1:
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1, bias=False)]
        self.layers = nn.ModuleList([*layers, nn.Conv2d(width, channels, 3, padding=1)])

    def forward(self, x: Tensor, features: Sequence[Tensor] = ()) -> Tensor:
        """``features``: for each block those of the frame before, in the order of the blocks; none: without them."""
        waiting = list(reversed(features))
        for layer in self.layers:
            x = layer(x, waiting.pop()) if isinstance(layer, TAESDBlock) and waiting else layer(x)
        return x


class PreviousFrameVAE(ModelMixin, ConfigMixin):  # type: ignore[misc]  # the library disagrees with itself
    """An `Autoencoder` whose decoder can be told the frame before; TAESD where it is not told.

    ``encoder_blocks`` and ``decoder_blocks``: residual blocks per level; both have as many levels and blocks.
    """

    _supports_group_offloading = True

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        latent_channels: int = 4,
        width: int = 64,
        encoder_blocks: tuple[int, ...] = (1, 3, 3),
        decoder_blocks: tuple[int, ...] = (3, 3, 1),
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        down, up = tuple(encoder_blocks), tuple(decoder_blocks)
        if up != tuple(reversed(down)):
            raise ValueError(f"the decoder's blocks {up} are not those of the encoder, {down}, the other way round")
        self.frame_channels, self.latent_channels = in_channels, latent_channels
        self.pixels_per_latent = 2 ** (len(down) - 1)
        self.encoder = TAESDEncoder(in_channels, latent_channels, width, down)
        self.decoder = TAESDDecoder(latent_channels, out_channels, width, up)

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def encode(self, frames: Tensor, num_frames: int = 1) -> tuple[Tensor, Tensor]:
        """Frames to latents without chance, see `Autoencoder.encode`: the log variance is as low as it can be."""
        frames = checked_frames(frames, num_frames, self.frame_channels, self.pixels_per_latent)
        mean: Tensor = self.encoder((frames + 1) / 2)
        return mean, torch.full_like(mean, LOGVAR_RANGE[0])

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def decode(
        self,
        z: Tensor,
        num_frames: int = 1,
        lr: Tensor | None = None,
        lr_weight: float = 1.0,
        *,
        previous: Tensor | None = None,
    ) -> Tensor:
        """Latents to frames, see `Autoencoder.decode`; there is nothing that looks at ``lr``.

        ``previous``: the frame before each of them, warped to it, ``(b t) 3 H W`` in [-1, 1].
        """
        z = checked_frames(z, num_frames, self.latent_channels, 1)
        features = () if previous is None else self.features(previous.to(z.dtype))
        # tanh(z / 3) * 3: whatever the denoiser says, the decoder sees latents that it knows
        pressed = torch.tanh(z / _LATENT_LIMIT) * _LATENT_LIMIT
        return cast(Tensor, self.decoder(pressed, features)) * 2 - 1

    def features(self, previous: Tensor) -> Sequence[Tensor]:
        """What the decoder is told of the frame before, ``n 3 H W`` in [-1, 1], block by block of the decoder.

        The encoder sees [-1, 1] here, unlike in `encode`: the released weights were trained so.
        """
        return list(reversed(self.encoder.features(channels_last(previous))))

    def forward(self, frames: Tensor, num_frames: int = 1, previous: Tensor | None = None) -> Tensor:
        """Frames encoded and decoded again."""
        return cast(Tensor, self.decode(self.encode(frames, num_frames)[0], num_frames, previous=previous))
