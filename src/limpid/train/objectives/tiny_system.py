"""`tiny` as a `System`, so that it can be distilled like the large ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.diffusion.schedules import karras_steps
from limpid.methods.tiny_ends import TINY_FILE
from limpid.priors.tiny import bicubic_patches, from_latent, save_tiny, wiener_prediction
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.denoising import (
    DenoisingLearner,
    Levels,
    Predicts,
    clean_latent,
    edm_levels,
    ready_to_train,
)
from limpid.train.objectives.distillation import jump
from limpid.train.objectives.tiny import TinyDenoising, noise_levels, tiny_latents
from limpid.train.stage import Stage, Start
from limpid.train.starts.tiny import start_tiny
from limpid.types import SettingsError, Step

PREVIEW_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class TinyTeaching:
    """What a student of `tiny` learns from; also an objective, by the plain squared error in latents."""

    denoising: TinyDenoising = field(default_factory=TinyDenoising)
    sigma_max: float = 3.0
    """Where the schedule begins: well above the deviation of latents, about 0.5, so that pure noise may stand for a
    noised latent, and low enough that one step can still pass the noise on as texture."""
    sigma_min: float = 0.1
    """Where the last step leaves from."""

    def system(self, start: Start, stage: Stage) -> TinySystem:
        network = start_tiny(self.denoising.config, start)
        return TinySystem(network=ready_to_train(network, start.device), teaching=self)

    def learner(self, start: Start, stage: Stage) -> DenoisingLearner:
        return DenoisingLearner(self.system(start, stage))


class TinyTold(NamedTuple):
    """LR patches ``(b t) 12 h w`` around 0, and how many frames a clip has."""

    patches: Tensor
    frames: int


@dataclass(kw_only=True)
class TinySystem:
    """Tiny's denoiser as it is distilled: see `limpid.train.objectives.distillation.GuidedSystem`."""

    network: Any
    teaching: TinyTeaching
    predicts: Predicts = "x0"

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return {"spatial": [name for name, _ in self.network.named_parameters()]}

    def levels(self, random: ClipRandom) -> Levels:
        return edm_levels(noise_levels(self.teaching.denoising, random))

    def clean(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return pictures_to_clips(tiny_latents(batch, self.network.config)[0], batch.hr.shape[1])

    def condition(self, batch: ClipBatch, random: ClipRandom) -> TinyTold:
        return TinyTold(tiny_latents(batch, self.network.config)[1], batch.hr.shape[1])

    def unconditional(self, condition: TinyTold) -> TinyTold:
        raise SettingsError("tiny knows no guidance; its teacher's guidance scale is 1")

    def raw(self, z: Tensor, levels: Levels, condition: TinyTold) -> Tensor:
        pictures = z.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        sigma = levels.sigma.repeat_interleave(condition.frames)
        return pictures_to_clips(
            wiener_prediction(self.network, pictures, sigma, condition.patches, condition.frames), condition.frames
        )

    @property
    def sigma_data(self) -> float:
        return self.teaching.denoising.typical_sigma

    def schedule(self, num_steps: int) -> Sequence[Step]:
        return karras_steps(num_steps, self.teaching.sigma_min, self.teaching.sigma_max)

    def save(self, folder: Path) -> None:
        save_tiny(self.network, folder / TINY_FILE)

    def save_student(self, folder: Path, num_steps: int) -> None:
        levels = {"sigma_min": self.teaching.sigma_min, "sigma_max": self.teaching.sigma_max}
        save_tiny(self.network, folder / TINY_FILE, steps=num_steps, **levels)

    def restore(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return self.frames(self.sampled(batch, random, PREVIEW_STEPS), batch)

    def sampled(self, batch: ClipBatch, random: ClipRandom, num_steps: int) -> Tensor:
        """Clean latents ``b 192 t h w`` after ``num_steps`` steps from noise; the same noise for any number of them."""
        told, steps = self.condition(batch, random), self.schedule(num_steps)
        shape = (self.network.config.latent_channels, told.frames, *told.patches.shape[-2:])
        z = steps[0].sigma * random.normal("sampled", shape, batch.lr.device)
        for step in steps:
            here, after = (
                edm_levels(torch.full((batch.size,), s, device=z.device)) for s in (step.sigma, step.sigma_next)
            )
            z = jump(z, clean_latent(self, z, here, told), here, after)
        return z

    def frames(self, z: Tensor, batch: ClipBatch) -> Tensor:
        """Latents ``b 192 t h w`` over the LR clips -> frames ``b t 3 H W`` in [0, 1]."""
        config = self.network.config
        base = bicubic_patches(batch.lr.flatten(0, 1), config.scale, config.patch_px)
        residual = from_latent(z.transpose(1, 2).flatten(0, 1), config)
        pictures = F.pixel_shuffle(base + residual, config.patch_px * config.scale).clamp(0, 1)
        return pictures.reshape(*batch.hr.shape[:2], *pictures.shape[1:])


def pictures_to_clips(pictures: Tensor, frames: int) -> Tensor:
    """``(b t) c h w`` -> ``b c t h w``."""
    return pictures.reshape(-1, frames, *pictures.shape[1:]).transpose(1, 2)
