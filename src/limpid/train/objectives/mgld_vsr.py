"""Teaching the U-Net of MGLD-VSR: Stable Diffusion 2.1 told of the input's structure, section 4.1.

The network predicts the noise on the latent of the HR clip, and is told of the latent of the enlarged LR clip and of an
empty text. Denoiser and structure encoder are one network, `limpid.networks.unet.mgld_vsr_unet.StructuredUNet`; the
encoder runs inside it, with gradients. The autoencoder is frozen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from limpid.checkpoints.folders import read_card
from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.convert.official_configs import STRUCTURED_UNET_CONFIG
from limpid.convert.start_mgld_vsr import load_image_model
from limpid.diffusion.noise import add_noise
from limpid.diffusion.schedules import Betas, vp_steps
from limpid.methods.common import MGLD_VSR
from limpid.networks.by_name import make_official
from limpid.networks.unet.mgld_vsr_unet import StructuredUNet
from limpid.priors.load.offload import prepare
from limpid.priors.load.schedule_config import read_betas, rewrite_schedule
from limpid.priors.load.upscaler import WEIGHTS, from_folder
from limpid.priors.mgld_vsr import StructuredPrior
from limpid.train.freezing import by_kind, sizes
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.autoencoder_start import Network, begin
from limpid.train.objectives.denoising import (
    DenoisingLearner,
    Levels,
    Predicts,
    drawn_latents,
    each_restored,
    even_timesteps,
    prepared,
    sample,
)
from limpid.train.objectives.folders import copy_rest, finish_folder, starting_folder
from limpid.train.objectives.texts import Texts
from limpid.train.stage import Stage, Start
from limpid.types import Placement, Scene, SettingsError, Step, WeightsError

BASE = "sd-2-1-base"
PIXELS_PER_LATENT = 8
VAE = Network(kind="CFWVAE", folder="vae")
IDLE_FEATURES = {"decoder_weight": 0.0}


def kind_of(name: str) -> str:
    """``structure`` (the time-aware encoder), ``spade``, ``temporal`` (convolutions, attention, their norms and mixing
    numbers) or ``spatial`` (the image model), for the name of a parameter."""
    if name.startswith("structure."):
        return "structure"
    if ".spade." in name:
        return "spade"
    return "temporal" if ".temporal_" in name else "spatial"


@dataclass(frozen=True, kw_only=True)
class StructuredDenoising:
    """Objective of the U-Net stage.

    It starts from the folder of the method itself, or of the image model, whose new layers do nothing at first (but for
    SPADE's norms, which normalise in any case).
    """

    preview_steps: int = 4
    unet_options: Mapping[str, Any] = field(default_factory=dict)
    """Of a new network, besides what it has from the image model."""

    def learner(self, start: Start, stage: Stage) -> DenoisingLearner:
        return DenoisingLearner(self.system(start, stage))

    def parameter_table(self) -> dict[str, int]:
        """Parameters of the full network by kind of layer, counted without its weights."""
        unet = make_official("structured_unet", STRUCTURED_UNET_CONFIG)
        return sizes(unet, by_kind(unet, kind_of))

    def system(self, start: Start, stage: Stage) -> StructuredSystem:
        folder = starting_folder(MGLD_VSR, (MGLD_VSR, BASE), start, stage)
        if stage.clips.crop_px % PIXELS_PER_LATENT:
            raise SettingsError(f"crops of {stage.clips.crop_px} px have no whole latents; take a multiple of 8")
        return StructuredSystem.load(self, folder, start)


def start_unet(folder: Path, options: Mapping[str, Any]) -> StructuredUNet:
    """The denoiser of a converted folder; that of the image model gets new layers, which do nothing yet."""
    place = folder / "unet"
    if read_card(folder).name == MGLD_VSR:
        found: StructuredUNet = from_folder(StructuredUNet, place, torch.float32, {})
        return found
    try:
        values = json.loads((place / "config.json").read_text(encoding="utf-8"))
        unet: StructuredUNet = StructuredUNet(**{**image_options(values), **options})
        load_image_model(unet, {name: tensor.float() for name, tensor in SafetensorsFile(place / WEIGHTS).items()})
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{place} cannot be given new layers: {error}") from error
    return unet


def image_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the library's configuration of Stable Diffusion 2 says, as `StructuredUNet` calls it.

    Its ``attention_head_dim`` is the number of heads of each level. Raises ValueError when their widths differ.
    """
    widths, heads = values["block_out_channels"], values["attention_head_dim"]
    head_widths = {width // count for width, count in zip(widths, heads, strict=True)}
    if len(head_widths) != 1:
        raise ValueError(f"heads of the widths {sorted(head_widths)} are not supported, all must have one")
    kept = ("in_channels", "out_channels", "layers_per_block", "cross_attention_dim", "norm_num_groups")
    own = {name: values[name] for name in kept if name in values}
    return {**own, "block_out_channels": tuple(widths), "head_channels": head_widths.pop()}


@dataclass(kw_only=True)
class StructuredSystem:
    """See `limpid.train.objectives.denoising.System`."""

    objective: StructuredDenoising
    network: Any
    vae: Any
    texts: Texts
    betas: Betas
    folder: Path
    device: torch.device
    random_weights: bool
    predicts: Predicts = "eps"

    @classmethod
    def load(cls, objective: StructuredDenoising, folder: Path, start: Start) -> StructuredSystem:
        placement = Placement(device=start.device, dtype=torch.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(start.seed)
            unet, vae = start_unet(folder, objective.unet_options), begin(VAE, folder)
        return cls(
            objective=objective,
            network=prepared(unet, start.device),
            vae=prepare(vae, placement).to(start.device),
            texts=Texts(folder, start.device, keep=False),
            betas=read_betas(folder / "scheduler", force_linear=False),
            folder=folder,
            device=start.device,
            random_weights=read_card(folder).random,
        )

    @property
    def prior(self) -> StructuredPrior:
        """The method's, over the same networks; its decoder follows no features, which are not taught here."""
        return StructuredPrior(
            networks=self,
            prompts=self,
            device=self.device,
            dtype=torch.float32,
            decoder_weight=0.0,
            latent_scale=float(self.vae.config.scaling_factor),
        )

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return by_kind(self.network, kind_of)

    def levels(self, random: ClipRandom) -> Levels:
        return even_timesteps(self.betas, random)

    def clean(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        t = batch.hr.shape[1]
        mean, logvar = self.vae.encode(batch.hr.flatten(0, 1) * 2 - 1, num_frames=t)
        return drawn_latents(mean, logvar, t, float(self.vae.config.scaling_factor), random)

    @torch.no_grad()
    def condition(self, batch: ClipBatch, random: ClipRandom) -> dict[str, Tensor]:
        """No gradient: the structure encoder, which learns, is a part of the network."""
        told = [self.prior.condition(lr, scene_of(lr, 0, random.seed)) for lr in batch.lr]
        return {
            "structure": torch.cat([each.structure for each in told]),
            "encoder_hidden_states": torch.cat([each.prompt for each in told]),
        }

    def unconditional(self, condition: dict[str, Tensor]) -> dict[str, Tensor]:
        raise SettingsError(f"{MGLD_VSR} is told no text, so there is no guidance to be learned; take guidance_scale 1")

    def schedule(self, num_steps: int) -> Sequence[Step]:
        """Few steps must not waste one on the cleanest timestep, with which the published 50 end."""
        return vp_steps(num_steps, self.betas, spacing="trailing")

    def raw(self, z: Tensor, levels: Levels, condition: dict[str, Tensor]) -> Tensor:
        out: Tensor = self.network(z, levels.t, **condition)
        return out

    def weight(self, levels: Levels) -> Tensor:
        return torch.ones_like(levels.sigma)

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
        if before.name == BASE:
            notes += ("vae is the image autoencoder; train mgld-vsr/vae for layers over time and features",)
        if before.name == BASE or IDLE_FEATURES.items() <= before.defaults.items():
            defaults |= IDLE_FEATURES
        finish_folder(
            folder, MGLD_VSR, random=self.random_weights, started_from=self.folder, notes=notes, defaults=defaults
        )

    def restore(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return each_restored(self.network, batch, lambda lr, number: self._restore_one(lr, number, random.seed))

    def _restore_one(self, lr: Tensor, number: int, seed: int) -> Tensor:
        """From the noised latent of the input, as the method does it."""
        prior, steps = self.prior, self.schedule(self.objective.preview_steps)
        condition = prior.condition(lr, scene_of(lr, number, seed))
        start = prior.encode(condition)
        noise = ClipRandom(seed, (number,)).normal("preview", start.shape[1:], self.device)
        return prior.decode(sample(prior, add_noise(start, noise, steps[0]), steps, condition), condition)

    # What `StructuredPrior` asks for: networks, and texts, of which there are none.

    def use(self, name: Literal["unet", "vae"]) -> Any:
        return self.network if name == "unet" else self.vae

    def positive(self, shot: int) -> Tensor:
        return self.texts.embed([""])

    def negative(self) -> Tensor:
        return self.texts.embed([""])


def scene_of(lr: Tensor, shot: int, seed: int) -> Scene:
    """An LR clip ``t 3 h w`` as a scene of its own."""
    return Scene(seed=seed, frames=range(len(lr)), shot=shot)
