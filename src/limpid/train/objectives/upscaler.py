"""Teaching the U-Net of the SD x4 upscaler family: UAV section 3.2, DiffVSR section 3.5.

The network is told of the LR clip with noise of a random level (UAV section 3.1; the image model was
trained with levels 0 to 350), and of a text, which is left empty for some clips so that guidance works later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from limpid.checkpoints.folders import read_card
from limpid.convert.official_configs import DIFFVSR_UNET_CONFIG, UNET_CONFIG
from limpid.convert.start_unet import unet_kinds
from limpid.diffusion.schedules import Betas, vp_steps
from limpid.networks.by_name import make_official
from limpid.priors.load.schedule_config import ScheduleConfig, read_betas, read_schedule, rewrite_schedule
from limpid.priors.load.upscaler import UpscalerFiles, load_autoencoder
from limpid.priors.upscaler import UpscalerPrior
from limpid.settings import MAX_NOISE_LEVEL
from limpid.train.freezing import sizes
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.diffusion import noised
from limpid.train.objectives.denoising import (
    DenoisingLearner,
    EmptyPrompts,
    Levels,
    NetworksInMemory,
    Predicts,
    each_restored,
    encoded_clips,
    even_timesteps,
    ready_to_train,
    sample,
    told_by_keywords,
)
from limpid.train.objectives.folders import copy_rest, finish_folder, starting_folder
from limpid.train.objectives.texts import Texts
from limpid.train.stage import Stage, Start
from limpid.train.starts.autoencoder import AutoencoderChoice, start_autoencoder
from limpid.train.starts.upscaler_unet import start_upscaler_unet
from limpid.types import Placement, Scene, Step

UPSCALER_BASE = "sd-x4-upscaler"


@dataclass(frozen=True, kw_only=True)
class UpscalerDenoising:
    """Objective of the U-Net stages.

    It starts from the folder of an earlier stage, or of the method itself, or of the image model, whose temporal layers
    are then new and do nothing at first.
    """

    method: Literal["upscale-a-video", "diffvsr", "lavie-vsr"]
    multi_scale: bool = False
    """Whether a new U-Net gets DiffVSR's coarse temporal attention."""
    linear_betas: bool = False
    """Linear betas whatever the scheduler's config says, as LaVie and DiffVSR were trained."""
    noise_levels: tuple[int, int] = (0, MAX_NOISE_LEVEL)
    """Noise on the LR clip, drawn evenly, first included, last not."""
    drop_captions: float = 0.1
    """Share of clips whose caption is left out."""
    preview_steps: int = 4
    autoencoder: AutoencoderChoice | None = None
    """The method's autoencoder, made from the image one where the weights have none yet, so that what is saved runs."""
    unet_options: Mapping[str, Any] = field(default_factory=dict)

    def learner(self, start: Start, stage: Stage) -> DenoisingLearner:
        return DenoisingLearner(self.system(start, stage))

    def parameter_table(self) -> dict[str, int]:
        """Parameters of the full network by kind of layer, counted without its weights."""
        unet = make_official("unet", DIFFVSR_UNET_CONFIG if self.multi_scale else UNET_CONFIG)
        return sizes(unet, unet_kinds(unet))

    def system(self, start: Start, stage: Stage) -> UpscalerSystem:
        folder = starting_folder(self.method, (self.method, UPSCALER_BASE), start, stage)
        return UpscalerSystem.load(self, folder, read_card(folder).name, start, stage)


@dataclass(kw_only=True)
class UpscalerSystem:
    """Denoiser of a method on the x4 upscaler, and its training: see `limpid.train.objectives.denoising.System`."""

    objective: UpscalerDenoising
    network: Any
    vae: Any
    texts: Texts
    betas: Betas
    low_res_alphas: Tensor
    folder: Path
    device: torch.device
    random_weights: bool
    predicts: Predicts = "v"
    sigma_data: float = 1.0

    @classmethod
    def load(cls, objective: UpscalerDenoising, folder: Path, name: str, start: Start, stage: Stage) -> UpscalerSystem:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(start.seed)
            unet = start_upscaler_unet(
                folder, own=name == objective.method, multi_scale=objective.multi_scale, options=objective.unet_options
            )
        placement = Placement(device=start.device, dtype=torch.float32)
        low_res = read_betas(folder / "low_res_scheduler", force_linear=False)
        return cls(
            objective=objective,
            network=ready_to_train(unet, start.device),
            vae=load_autoencoder(UpscalerFiles(folder=folder), placement).to(start.device),
            texts=Texts(folder, start.device, keep=stage.clips.captions),
            betas=read_betas(folder / "scheduler", force_linear=objective.linear_betas),
            low_res_alphas=torch.as_tensor(low_res.alphas_cumprod()).float(),
            folder=folder,
            device=start.device,
            random_weights=read_card(folder).random,
        )

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return unet_kinds(self.network)

    def levels(self, random: ClipRandom) -> Levels:
        return even_timesteps(self.betas, random)

    def clean(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return encoded_clips(self.vae, batch, random)

    def condition(self, batch: ClipBatch, random: ClipRandom) -> dict[str, Tensor]:
        level = random.integers("noise level", *self.objective.noise_levels)
        kept = self.low_res_alphas[level].to(self.device)
        lr = (batch.lr * 2 - 1).transpose(1, 2)
        noise = random.normal("low res", lr.shape[1:], lr.device)
        told = random.uniform("caption") >= self.objective.drop_captions
        captions = [text if keep else "" for text, keep in zip(batch.captions, told.tolist(), strict=True)]
        return {
            "low_res": noised(lr, noise, kept.sqrt(), (1 - kept).sqrt()),
            "encoder_hidden_states": self.texts.embed(captions),
            "noise_level": level.to(self.device),
        }

    def unconditional(self, condition: dict[str, Tensor]) -> dict[str, Tensor]:
        """The other branch of guidance is told no text."""
        count = len(condition["encoder_hidden_states"])
        return {**condition, "encoder_hidden_states": self.texts.embed([""] * count)}

    def schedule(self, num_steps: int) -> Sequence[Step]:
        """From pure noise, which the published schedules of 30 and 50 steps do not begin with; few steps need it."""
        return vp_steps(num_steps, self.betas, spacing="trailing", final_alpha=self._config().final_alpha)

    def _config(self) -> ScheduleConfig:
        return read_schedule(self.folder / "scheduler")

    def raw(self, z: Tensor, levels: Levels, condition: dict[str, Tensor]) -> Tensor:
        return told_by_keywords(self.network, z, levels, condition)

    def save(self, folder: Path) -> None:
        copy_rest(self.folder, folder, without=("unet",))
        self._finish(folder)

    def _finish(self, folder: Path, notes: tuple[str, ...] = (), **defaults: Any) -> None:
        """The network, the method's autoencoder if it is missing, and the card."""
        self.network.save_pretrained(folder / "unet")
        wanted = self.objective.autoencoder
        if wanted is not None and not (folder / wanted.folder).exists():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # new layers are random behind maps that are zero; equal runs give equal files
                start_autoencoder(wanted, self.folder).save_pretrained(folder / wanted.folder)
            notes += (f"{wanted.folder} is the image autoencoder with new layers that do nothing yet",)
        finish_folder(
            folder,
            self.objective.method,
            random=self.random_weights,
            started_from=self.folder,
            notes=notes,
            defaults=defaults,
        )

    def save_student(self, folder: Path, num_steps: int) -> None:
        copy_rest(self.folder, folder, without=("unet", "scheduler"))
        rewrite_schedule(self.folder / "scheduler", folder / "scheduler", timestep_spacing="trailing")
        note = f"a student that takes {num_steps} steps"
        self._finish(folder, notes=(note,), steps=num_steps, guidance_scale=1.0)

    def restore(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return each_restored(self.network, batch, lambda lr, number: self._restore_one(lr, number, random.seed))

    def _restore_one(self, lr: Tensor, number: int, seed: int) -> Tensor:
        prior = UpscalerPrior(
            networks=NetworksInMemory({"unet": self.network, "vae": self.vae}),
            prompts=EmptyPrompts(self.texts),
            low_res_alphas_cumprod=self.low_res_alphas,
            noise_level=min(120, self.objective.noise_levels[1] - 1),
            device=self.device,
            dtype=torch.float32,
            latent_scale=float(self.vae.config.scaling_factor),
        )
        condition = prior.condition(lr, Scene(seed=seed, frames=range(len(lr)), shot=number))
        shape = (prior.latent_channels, len(lr), *prior.latent_size(*lr.shape[-2:]))
        z = ClipRandom(seed, (number,)).normal("preview", shape, self.device)
        return prior.decode(sample(prior, z, self.schedule(self.objective.preview_steps), condition), condition)
