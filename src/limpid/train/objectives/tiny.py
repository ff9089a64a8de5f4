"""What `tiny` is trained for: the residual over bicubic upscaling, from any noise level.

Distances are Charbonnier's, in pixels, divided by what is typical of the noise level (c_out of Karras et al. 2022, EDM
Table 1), so that no level outweighs the others. Half of the clips are near pure noise, because one step from there is
what most people run; the rest is even in the logarithm of sigma.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.methods.tiny import TINY_SIGMA_MAX
from limpid.methods.tiny_ends import TINY_FILE
from limpid.priors.tiny import (
    TinyConfig,
    TinyNetwork,
    bicubic_patches,
    from_latent,
    save_tiny,
    to_latent,
    wiener_prediction,
)
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.pixels import charbonnier
from limpid.train.stage import Stage, Start
from limpid.train.starts.tiny import start_tiny
from limpid.types import SettingsError


@dataclass(frozen=True, kw_only=True)
class TinyDenoising:
    """The objective of the shipped model."""

    config: TinyConfig = field(default_factory=TinyConfig)
    """Shape of a new network; one that is trained further keeps its own."""
    sigma_min: float = 0.02
    sigma_max: float = TINY_SIGMA_MAX
    near_pure_noise: float = 0.5
    """Share of clips with sigma in the uppermost factor of 4."""
    typical_sigma: float = 0.5
    """Standard deviation of the data, EDM's sigma_data."""
    smooth: float = 0.01
    """Errors well below 0.1 times the typical one count squared, larger ones by their size."""
    border: int = 1
    """Latent pixels along the edges of a crop that do not count, because bicubic upscaling lacks neighbours there."""

    def learner(self, start: Start, stage: Stage) -> TinyLearner:
        if stage.clips.scale != self.config.scale:
            raise SettingsError(f"clips shrink {stage.clips.scale} times, tiny enlarges {self.config.scale} times")
        network = start_tiny(self.config, start)
        return TinyLearner(self, network.to(start.device).to(memory_format=torch.channels_last))  # type: ignore[call-overload]


class TinyLearner:
    """`TinyNetwork` with its loss (see `limpid.train.learner.Learner`)."""

    def __init__(self, objective: TinyDenoising, network: TinyNetwork) -> None:
        self.objective, self.network = objective, network

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {"model": self.network}

    def kinds(self) -> Mapping[str, Sequence[str]]:
        """Time is mixed without parameters, so there is one kind."""
        return {"spatial": [name for name, _ in self.network.named_parameters()]}

    def target(self, batch: ClipBatch) -> Tensor:
        """The picture that is aimed at, ``b t 3 H W``."""
        return batch.hr

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        return self.losses_to(self.target(batch), batch, random)

    def losses_to(self, target: Tensor, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        """`losses` where the target is known."""
        relative = tiny_relative_error(self.objective, self.network, replace(batch, hr=target), random)
        return {"charbonnier": charbonnier(relative, self.objective.smooth).mean()}

    def save(self, folder: Path) -> None:
        save_tiny(self.network, folder / TINY_FILE)

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        """One step from pure noise, as most people run it."""
        config, (count, frames) = self.network.config, batch.hr.shape[:2]
        x0, patches = tiny_latents(batch, config)
        sigma = torch.full((count,), self.objective.sigma_max, device=x0.device)
        noise = random.normal("preview", (frames, *x0.shape[1:]), x0.device).flatten(0, 1)
        clean = predict_tiny(self.network, torch.zeros_like(x0), noise, sigma, patches, frames)
        base = bicubic_patches(batch.lr.flatten(0, 1), config.scale, config.patch_px)
        pictures = F.pixel_shuffle(base + from_latent(clean, config), config.patch_px * config.scale)
        return pictures.clamp(0, 1).reshape(count, frames, *pictures.shape[1:])


def tiny_relative_error(objective: TinyDenoising, network: TinyNetwork, batch: ClipBatch, random: ClipRandom) -> Tensor:
    """Error of a prediction from a drawn noise level, in pixels over what is typical of the level: ``b t 192 h w``,
    in patch space, without `TinyDenoising.border`."""
    o, config, (count, frames) = objective, network.config, batch.hr.shape[:2]
    x0, patches = tiny_latents(batch, config)
    sigma = noise_levels(o, random).to(x0.device)
    noise = random.normal("noise", (frames, *x0.shape[1:]), x0.device).flatten(0, 1)
    error = predict_tiny(network, x0, noise, sigma, patches, frames) - x0
    pixels = inner(from_latent(error, config) * config.latent_scale, o.border)
    c_out = sigma * o.typical_sigma / (sigma**2 + o.typical_sigma**2).sqrt()
    return pixels.reshape(count, frames, *pixels.shape[1:]) / c_out[:, None, None, None, None]


def predict_tiny(
    network: TinyNetwork, x0: Tensor, noise: Tensor, sigma: Tensor, patches: Tensor, frames: int
) -> Tensor:
    """The clean latent that the network sees in ``x0 + sigma noise``; ``sigma``: ``b``, the rest ``(b t) c h w``."""
    each = sigma.repeat_interleave(frames)
    z = x0 + each[:, None, None, None] * noise
    return wiener_prediction(network, z.contiguous(memory_format=torch.channels_last), each, patches, frames)


def tiny_latents(batch: ClipBatch, config: TinyConfig) -> tuple[Tensor, Tensor]:
    """Clean latents ``(b t) 192 h w`` and LR patches ``(b t) 12 h w`` around 0."""
    hr, lr = batch.hr.flatten(0, 1), batch.lr.flatten(0, 1)
    base = bicubic_patches(lr, config.scale, config.patch_px)
    x0 = to_latent(F.pixel_unshuffle(hr, config.patch_px * config.scale) - base, config)
    patches = F.pixel_unshuffle(lr - 0.5, config.patch_px)
    layout = torch.channels_last
    return x0.contiguous(memory_format=layout), patches.contiguous(memory_format=layout)


def noise_levels(objective: TinyDenoising, random: ClipRandom) -> Tensor:
    """One sigma per clip: near pure noise with the given chance, else log-uniform over the whole range."""
    low, high = math.log(objective.sigma_min), math.log(objective.sigma_max)
    part = random.uniform("sigma")
    anywhere, near = low + part * (high - low), high + (part - 1) * math.log(4)
    return torch.where(random.uniform("where") < objective.near_pure_noise, near, anywhere).exp()


def inner(pictures: Tensor, border: int) -> Tensor:
    """Without ``border`` pixels along each edge."""
    return pictures[..., border : pictures.shape[-2] - border, border : pictures.shape[-1] - border]
