"""Teaching the U-Net of MGLD-VSR: Stable Diffusion 2.1 told of the input's structure, MGLD section 4.1.

The network predicts the noise on the latent of the HR clip, and is told of the latent of the enlarged LR clip and of an
empty text. Denoiser and structure encoder are one network, `limpid.networks.unet.mgld_vsr_unet.StructuredUNet`; the
encoder runs inside it, with gradients. The autoencoder is frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.checkpoints.folders import read_card
from limpid.convert.official_configs import MGLD_VSR_UNET_CONFIG
from limpid.diffusion.noise import add_noise
from limpid.diffusion.schedules import Betas, vp_steps
from limpid.methods.common import MGLD_VSR_NAME
from limpid.networks.by_name import make_official
from limpid.priors.load.offload import place_network
from limpid.priors.load.schedule_config import read_betas, rewrite_schedule
from limpid.priors.mgld_vsr import MGLDVSRPrior
from limpid.train.freezing import by_kind, sizes
from limpid.train.learner import ClipBatch, ClipRandom
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
from limpid.train.starts.mgld_vsr_unet import start_mgld_vsr_unet
from limpid.types import Placement, Scene, SettingsError, Step

MGLD_VSR_BASE = "sd-2-1-base"
_PIXELS_PER_LATENT = 8
_VAE = AutoencoderChoice(kind="CFWVAE", folder="vae")
IDLE_FEATURES = {"decoder_weight": 0.0}


def mgld_vsr_layer_kind(name: str) -> str:
    """``structure`` (the time-aware encoder), ``spade``, ``temporal`` (convolutions, attention, their norms and mixing
    numbers) or ``spatial`` (the image model), for the name of a parameter."""
    if name.startswith("structure."):
        return "structure"
    if ".spade." in name:
        return "spade"
    return "temporal" if ".temporal_" in name else "spatial"


@dataclass(frozen=True, kw_only=True)
class MGLDVSRDenoising:
    """Objective of the U-Net stage.

    It starts from the folder of the method itself, or of the image model, whose new layers do nothing at first (but for
    SPADE's norms, which normalise in any case).
    """

    preview_steps: int = 4
    unet_options: Mapping[str, Any] = field(default_factory=dict)
    """Configuration of a new network, besides what it has from the image model."""

    def learner(self, start: Start, stage: Stage) -> DenoisingLearner:
        return DenoisingLearner(self.system(start, stage))

    def parameter_table(self) -> dict[str, int]:
        """Parameters of the full network by kind of layer, counted without its weights."""
        unet = make_official("mgld_vsr_unet", MGLD_VSR_UNET_CONFIG)
        return sizes(unet, by_kind(unet, mgld_vsr_layer_kind))

    def system(self, start: Start, stage: Stage) -> MGLDVSRSystem:
        folder = starting_folder(MGLD_VSR_NAME, (MGLD_VSR_NAME, MGLD_VSR_BASE), start, stage)
        if stage.clips.crop_px % _PIXELS_PER_LATENT:
            raise SettingsError(f"crops of {stage.clips.crop_px} px have no whole latents; take a multiple of 8")
        return MGLDVSRSystem.load(self, folder, start)


@dataclass(kw_only=True)
class MGLDVSRSystem:
    """MGLD-VSR's denoiser with all that training it needs: see `limpid.train.objectives.denoising.System`."""

    objective: MGLDVSRDenoising
    network: Any
    vae: Any
    texts: Texts
    betas: Betas
    folder: Path
    device: torch.device
    random_weights: bool
    predicts: Predicts = "eps"
    sigma_data: float = 1.0

    @classmethod
    def load(cls, objective: MGLDVSRDenoising, folder: Path, start: Start) -> MGLDVSRSystem:
        placement = Placement(device=start.device, dtype=torch.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(start.seed)
            unet, vae = start_mgld_vsr_unet(folder, objective.unet_options), start_autoencoder(_VAE, folder)
        return cls(
            objective=objective,
            network=ready_to_train(unet, start.device),
            vae=place_network(vae, placement).to(start.device),
            texts=Texts(folder, start.device, keep=False),
            betas=read_betas(folder / "scheduler", force_linear=False),
            folder=folder,
            device=start.device,
            random_weights=read_card(folder).random,
        )

    @property
    def prior(self) -> MGLDVSRPrior:
        """The method's, over the same networks; its decoder follows no features, which are not taught here."""
        return MGLDVSRPrior(
            networks=NetworksInMemory({"unet": self.network, "vae": self.vae}),
            prompts=EmptyPrompts(self.texts),
            device=self.device,
            dtype=torch.float32,
            decoder_weight=0.0,
            latent_scale=float(self.vae.config.scaling_factor),
        )

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return by_kind(self.network, mgld_vsr_layer_kind)

    def levels(self, random: ClipRandom) -> Levels:
        return even_timesteps(self.betas, random)

    def clean(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return encoded_clips(self.vae, batch, random)

    @torch.no_grad()
    def condition(self, batch: ClipBatch, random: ClipRandom) -> dict[str, Tensor]:
        """No gradient: the structure encoder, which learns, is a part of the network."""
        told = [self.prior.condition(lr, clip_scene(lr, 0, random.seed)) for lr in batch.lr]
        return {
            "structure": torch.cat([each.structure for each in told]),
            "encoder_hidden_states": torch.cat([each.prompt for each in told]),
        }

    def unconditional(self, condition: dict[str, Tensor]) -> dict[str, Tensor]:
        raise SettingsError(
            f"{MGLD_VSR_NAME} is told no text, so there is no guidance to be learned; take guidance_scale 1"
        )

    def schedule(self, num_steps: int) -> Sequence[Step]:
        """Few steps must not waste one on the cleanest timestep, with which the published 50 end."""
        return vp_steps(num_steps, self.betas, spacing="trailing")

    def raw(self, z: Tensor, levels: Levels, condition: dict[str, Tensor]) -> Tensor:
        return told_by_keywords(self.network, z, levels, condition)

    def save(self, folder: Path) -> None:
        copy_rest(self.folder, folder, without=("unet", "vae"))
        self._finish(folder)

    def save_student(self, folder: Path, num_steps: int) -> None:
        copy_rest(self.folder, folder, without=("unet", "vae", "scheduler"))
        rewrite_schedule(self.folder / "scheduler", folder / "scheduler", timestep_spacing="trailing")
        self._finish(folder, (f"a student that takes {num_steps} steps",), steps=num_steps, sampler="ddim")

    def _finish(self, folder: Path, notes: tuple[str, ...] = (), **defaults: Any) -> None:
        """The networks and the card. A decoder whose features have not been trained does not look at them."""
        before = read_card(self.folder)
        self.network.save_pretrained(folder / "unet")
        self.vae.save_pretrained(folder / "vae")
        if before.name == MGLD_VSR_BASE:
            notes += ("vae is the image autoencoder; train mgld-vsr/vae for layers over time and features",)
        if before.name == MGLD_VSR_BASE or IDLE_FEATURES.items() <= before.defaults.items():
            defaults |= IDLE_FEATURES
        finish_folder(
            folder, MGLD_VSR_NAME, random=self.random_weights, started_from=self.folder, notes=notes, defaults=defaults
        )

    def restore(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return each_restored(self.network, batch, lambda lr, number: self._restore_one(lr, number, random.seed))

    def _restore_one(self, lr: Tensor, number: int, seed: int) -> Tensor:
        """From the noised latent of the input, as the method does it."""
        prior, steps = self.prior, self.schedule(self.objective.preview_steps)
        condition = prior.condition(lr, clip_scene(lr, number, seed))
        start = prior.encode(condition)
        noise = ClipRandom(seed, (number,)).normal("preview", start.shape[1:], self.device)
        return prior.decode(sample(prior, add_noise(start, noise, steps[0]), steps, condition), condition)


def clip_scene(lr: Tensor, shot: int, seed: int) -> Scene:
    """An LR clip ``t 3 h w`` as a scene of its own."""
    return Scene(seed=seed, frames=range(len(lr)), shot=shot)
