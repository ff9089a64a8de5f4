"""The prior of Stream-DiffVSR: the SD x4 upscaler's denoiser told of the LR frame and, by a branch beside it, of the
frame before; and a small decoder that is told of it, too.

One latent pixel stands for one LR pixel. Nothing is noised but the latent, and there is no text: the embedding of an
empty one is a constant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.diffusion.parametrisations import from_v
from limpid.types import Prediction, Scene, Step, Tile, Window

_SCALE = 4


class StreamNetworks(Protocol):
    """Gives a network that is ready on the device; see `limpid.priors.load.offload.Parts`."""

    def use(self, name: Literal["unet", "controlnet", "vae"]) -> Any: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamDiffVSRCondition:
    """A condition: what the networks of Stream-DiffVSR are told of some frames; on the device.

    ``lr``: ``1 3 t h w`` in [-1, 1], float32; ``prompt``: ``1 n c``; ``previous``: the frame before each, warped to it,
    ``1 3 t 4h 4w``, about [-1, 1]; None at the beginning of a shot.
    """

    lr: Tensor
    prompt: Tensor
    previous: Tensor | None = None

    def crop(self, window: Window, tile: Tile) -> StreamDiffVSRCondition:
        frames = slice(window.start, window.stop)
        lr = self.lr[..., frames, tile.top : tile.bottom, tile.left : tile.right]
        if self.previous is None:
            return replace(self, lr=lr)
        rows, columns = (
            slice(_SCALE * first, _SCALE * last) for first, last in ((tile.top, tile.bottom), (tile.left, tile.right))
        )
        return replace(self, lr=lr, previous=self.previous[..., frames, rows, columns])

    def told(self, previous: Tensor) -> StreamDiffVSRCondition:
        """With the frame before, ``t 3 H W``; see `limpid.consistency.previous_frame.TellsPrevious`."""
        return replace(self, previous=previous.transpose(0, 1)[None])


@dataclass(frozen=True, kw_only=True)
class StreamDiffVSRPrior:
    """The prior of Stream-DiffVSR (a `limpid.method.Prior`)."""

    networks: StreamNetworks
    prompt: Tensor
    """The embedded text, ``1 n c``, on the device."""
    device: torch.device
    dtype: torch.dtype
    latent_scale: float = 1.0
    """The factor of a latent of the autoencoder to become what the denoiser works on."""
    warnings: tuple[str, ...] = ()
    scale: int = _SCALE
    latent_channels: int = 4

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def condition(self, lr: Tensor, scene: Scene) -> StreamDiffVSRCondition:
        frames = (lr.to(self.device, torch.float32) * 2 - 1).transpose(0, 1)[None]
        return StreamDiffVSRCondition(lr=frames, prompt=self.prompt)

    def encode(self, condition: StreamDiffVSRCondition) -> Tensor:
        frames = condition.lr[0].transpose(0, 1)
        large = F.interpolate(frames, scale_factor=self.scale, mode="bicubic", align_corners=False).clamp_(-1, 1)
        vae = self.networks.use("vae")
        mean: Tensor = vae.encode(large.to(vae.dtype), num_frames=len(frames))[0]
        return mean.float().transpose(0, 1)[None] * self.latent_scale

    def denoise(self, z: Tensor, step: Step, condition: StreamDiffVSRCondition) -> Prediction:
        told = {"low_res": condition.lr.to(self.dtype), "encoder_hidden_states": condition.prompt}
        given, side = z.to(self.dtype), None
        if condition.previous is not None:
            side = self.networks.use("controlnet")(given, step.t, **told, previous=condition.previous)
        out = self.networks.use("unet")(given, step.t, **told, side=side)
        return from_v(z, out.float(), step)

    def decode(self, z: Tensor, condition: StreamDiffVSRCondition) -> Tensor:
        vae = self.networks.use("vae")
        pictures = (z / self.latent_scale)[0].transpose(0, 1).to(vae.dtype)
        previous = None if condition.previous is None else condition.previous[0].transpose(0, 1)
        frames: Tensor = vae.decode(pictures, num_frames=len(pictures), previous=previous)
        # not clipped: the next frame is told what the decoder said
        return frames.float() / 2 + 0.5
