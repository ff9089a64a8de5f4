"""The prior of the SD x4 upscaler family: a denoiser told of the noised LR frames, how noised they are, and a text.

One latent pixel stands for one LR pixel. Upscale-A-Video, DiffVSR, LaVie's upscaler and the image model they all come
from differ in the networks that are put in here, not in how these are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.diffusion.noise import noise_clip
from limpid.diffusion.parametrisations import from_v
from limpid.types import Prediction, Scene, Step, Tile, Window


class LatentNetworks(Protocol):
    """Gives a network that is ready on the device; see `limpid.priors.load.offload.Parts`."""

    def use(self, name: Literal["unet", "vae"]) -> Any: ...


class Prompts(Protocol):
    """Embedded texts, ``1 n c`` each."""

    def positive(self, shot: int) -> Tensor: ...

    def negative(self) -> Tensor: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class UpscalerCondition:
    """A condition: what the networks of the SD x4 upscaler are told of some frames; on the device.

    ``lr``: ``1 3 t h w`` in [-1, 1] (float32); ``noised``: the same with noise of ``noise_level``; texts ``b n c``;
    these two in the number format of the denoiser.
    """

    lr: Tensor
    noised: Tensor
    prompt: Tensor
    negative: Tensor
    noise_level: int

    def crop(self, window: Window, tile: Tile) -> UpscalerCondition:
        part = (..., slice(window.start, window.stop), slice(tile.top, tile.bottom), slice(tile.left, tile.right))
        return replace(self, lr=self.lr[part], noised=self.noised[part])

    def unconditional(self) -> UpscalerCondition:
        return replace(self, prompt=self.negative)

    def both(self) -> UpscalerCondition:
        pair = torch.cat([self.negative, self.prompt])
        return replace(self, prompt=pair, noised=self.noised.expand(2, *self.noised.shape[1:]))


@dataclass(frozen=True, kw_only=True)
class UpscalerPrior:
    """The prior of the SD x4 upscaler family (a `limpid.method.Prior`).

    ``low_res_alphas_cumprod``: the schedule by which LR frames are noised, ``sqrt(a) lr + sqrt(1 - a) noise`` with
    ``a`` its value at ``noise_level`` (0 to 350); more noise lets the model invent more (UAV section 3.4).
    """

    networks: LatentNetworks
    prompts: Prompts
    low_res_alphas_cumprod: Any
    noise_level: int
    device: torch.device
    dtype: torch.dtype
    latent_scale: float = 0.08333
    """The factor of a latent of the autoencoder to become what the denoiser works on."""
    lr_weight: float = 1.0
    """The weight with which a decoder that looks at the LR frames follows them."""
    low_res_noise: Callable[[Scene, int, int], Tensor] | None = None
    """Noise of the LR frames ``1 3 t h w`` instead of that drawn by frame number; for comparisons."""
    warnings: tuple[str, ...] = ()
    """Sentences that the user should read: a text that was cut off, for instance."""
    scale: int = 4
    latent_channels: int = 4

    @property
    def self_attentions(self) -> tuple[tuple[str, nn.Module], ...]:
        """Self-attentions of the denoiser's lowest level (`limpid.attention.layers`); the others attend to the text."""
        layers: tuple[tuple[str, nn.Module], ...] = self.networks.use("unet").self_attentions
        return layers

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def condition(self, lr: Tensor, scene: Scene) -> UpscalerCondition:
        clean = (lr.to(self.device, torch.float32) * 2 - 1).transpose(0, 1)[None]
        # x_tau = alpha_tau x + sigma_tau eps
        kept = float(self.low_res_alphas_cumprod[self.noise_level])
        noise = self._noise(scene, *lr.shape[-2:]).to(clean)
        noised = kept**0.5 * clean + (1 - kept) ** 0.5 * noise
        return UpscalerCondition(
            lr=clean,
            noised=noised.to(self.dtype),
            prompt=self.prompts.positive(scene.shot).to(self.device, self.dtype),
            negative=self.prompts.negative().to(self.device, self.dtype),
            noise_level=self.noise_level,
        )

    def _noise(self, scene: Scene, height: int, width: int) -> Tensor:
        if self.low_res_noise is not None:
            return self.low_res_noise(scene, height, width)
        return noise_clip(scene.seed, "lr", scene.frames, 0, 3, height, width)

    def encode(self, condition: UpscalerCondition) -> Tensor:
        frames = condition.lr[0].transpose(0, 1)
        size = [self.scale * edge for edge in frames.shape[-2:]]
        large = F.interpolate(frames, size, mode="bicubic", align_corners=False).clamp_(-1, 1)
        vae = self.networks.use("vae")
        mean: Tensor = vae.encode(large.to(vae.dtype), num_frames=len(frames))[0]
        return mean.float().transpose(0, 1)[None] * self.latent_scale

    def denoise(self, z: Tensor, step: Step, condition: UpscalerCondition) -> Prediction:
        level = torch.full((len(z),), condition.noise_level, device=z.device)
        out = self.networks.use("unet")(
            z.to(self.dtype),
            step.t,
            low_res=condition.noised,
            encoder_hidden_states=condition.prompt,
            noise_level=level,
        )
        return from_v(z, out.float(), step)

    def decode(self, z: Tensor, condition: UpscalerCondition) -> Tensor:
        vae = self.networks.use("vae")
        pictures = (z / self.latent_scale)[0].transpose(0, 1).to(vae.dtype)
        lr = condition.lr[0].transpose(0, 1)  # not rounded: the light decoder draws on top of it
        frames = vae.decode(pictures, num_frames=len(pictures), lr=lr, lr_weight=self.lr_weight)
        done: Tensor = frames.float().clamp_(-1, 1).add_(1).div_(2)
        return done
