"""Teaching the denoiser of DC-VSR: Stable Video Diffusion told of the latent of the enlarged LR clip.

DC-VSR supplement A, E.

SVD is an EDM model (Karras et al. 2022) whose network predicts v, which is EDM's preconditioning with clean latents of
deviation 1: x0 = z / (1 + s^2) - s / sqrt(1 + s^2) F, told ln(s) / 4. Its loss weight (1 + s^2) / s^2 of the error of
x0 is then weight 1 of the error of v, which is what is computed. The autoencoder is frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.checkpoints.folders import read_card
from limpid.convert.dc_vsr_configs import SVD_UNET_CONFIG
from limpid.diffusion.noise import start_scale
from limpid.diffusion.schedules import karras_steps
from limpid.methods.common import DC_VSR_NAME
from limpid.methods.dc_vsr import SIGMA_MAX, SIGMA_MIN
from limpid.networks.by_name import make_official
from limpid.priors.dc_vsr import (
    LATENT_MULTIPLE,
    PIXELS_PER_LATENT,
    DCVSRCondition,
    DCVSRPrior,
    SVDConditioning,
    predicted,
)
from limpid.priors.load.dc_vsr import DCVSRFiles, load_network
from limpid.priors.load.offload import place_network
from limpid.train.freezing import by_kind, sizes
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.diffusion import edm_sigmas, expanded
from limpid.train.objectives.denoising import (
    DenoisingLearner,
    Levels,
    NetworksInMemory,
    Predicts,
    drawn_latents,
    each_restored,
    edm_levels,
    ready_to_train,
    sample,
)
from limpid.train.objectives.folders import copy_rest, finish_folder, starting_folder
from limpid.train.stage import Stage, Start
from limpid.types import Placement, Scene, SettingsError, Step

DC_VSR_BASE = "svd"
_TEMPORAL = (".temporal_transformer_blocks.", ".time_pos_embed.", ".temporal_res_block.", ".time_mixer.")
"""Parts of the names of layers over time: attention, the frames' places in it, residual blocks, what mixes them in."""
CROP_MULTIPLE = PIXELS_PER_LATENT * LATENT_MULTIPLE


def dc_vsr_layer_kind(name: str) -> str:
    """``temporal`` or ``spatial``, for the name of a parameter."""
    return "temporal" if any(part in name for part in _TEMPORAL) else "spatial"


@dataclass(frozen=True, kw_only=True)
class DCVSRDenoising:
    """Objective of both phases. It starts from the folder of the method itself, or of SVD."""

    conditioning: SVDConditioning = field(default_factory=SVDConditioning)
    """What the denoiser is told; runs must be told the same."""
    sigma_mean: float = 0.7
    """Mean of ln(sigma). DC-VSR names none; this and the deviation are those with which SVD learned to animate a
    picture (Blattmann et al. 2023, appendix), where its weights come from."""
    sigma_deviation: float = 1.6
    drop_condition: float = 0.1
    """Share of clips without what guidance leaves out (``conditioning.unconditional``); the paper names none."""
    preview_steps: int = 4

    def learner(self, start: Start, stage: Stage) -> DenoisingLearner:
        return DenoisingLearner(self.system(start, stage))

    def parameter_table(self) -> dict[str, int]:
        """Parameters of the full network by kind of layer, counted without its weights."""
        unet = make_official("svd_unet", SVD_UNET_CONFIG)
        return sizes(unet, by_kind(unet, dc_vsr_layer_kind))

    def system(self, start: Start, stage: Stage) -> DCVSRSystem:
        folder = starting_folder(DC_VSR_NAME, (DC_VSR_NAME, DC_VSR_BASE), start, stage)
        if stage.clips.crop_px % CROP_MULTIPLE:
            raise SettingsError(
                f"crops of {stage.clips.crop_px} px do not fit the denoiser; take a multiple of {CROP_MULTIPLE}"
            )
        return DCVSRSystem.load(self, folder, start)


@dataclass(kw_only=True)
class DCVSRSystem:
    """DC-VSR's denoiser with all that training it needs: see `limpid.train.objectives.denoising.System`."""

    objective: DCVSRDenoising
    network: Any
    frozen: Mapping[str, Any]
    """``vae``, and ``image_encoder`` where the conditioning has one."""
    folder: Path
    device: torch.device
    random_weights: bool
    predicts: Predicts = "v"
    sigma_data: float = 1.0

    @classmethod
    def load(cls, objective: DCVSRDenoising, folder: Path, start: Start) -> DCVSRSystem:
        files = DCVSRFiles(folder=folder, conditioning=objective.conditioning)
        placement = Placement(device=start.device, dtype=torch.float32)
        files.parameter_bytes()  # says in our words what is missing
        loaded = {name: load_network(folder / name, placement) for name in files.paths()}
        unet = ready_to_train(loaded.pop("unet"), start.device)
        return cls(
            objective=objective,
            network=unet,
            frozen={name: place_network(network, placement).to(start.device) for name, network in loaded.items()},
            folder=folder,
            device=start.device,
            random_weights=read_card(folder).random,
        )

    @property
    def prior(self) -> DCVSRPrior:
        """The method's, over the same networks."""
        return DCVSRPrior(
            networks=NetworksInMemory({"unet": self.network, **self.frozen}),
            self_attentions=(),
            conditioning=self.objective.conditioning,
            device=self.device,
            dtype=torch.float32,
            embedding_channels=int(self.network.config.cross_attention_dim),
            latent_scale=float(self.frozen["vae"].config.scaling_factor),
        )

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return by_kind(self.network, dc_vsr_layer_kind)

    def levels(self, random: ClipRandom) -> Levels:
        """Levels beyond those of a run are brought to its first or last."""
        drawn = edm_sigmas(random.normal("sigma", ()), self.objective.sigma_mean, self.objective.sigma_deviation)
        return edm_levels(drawn.clamp(SIGMA_MIN, SIGMA_MAX))

    def clean(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        vae = self.frozen["vae"]
        spread = vae.encode(batch.hr.flatten(0, 1) * 2 - 1).latent_dist
        scale = float(vae.config.scaling_factor)
        return drawn_latents(spread.mean, spread.logvar, batch.hr.shape[1], scale, random)

    @torch.no_grad()
    def condition(self, batch: ClipBatch, random: ClipRandom) -> DCVSRCondition:
        """Nothing that learns makes it."""
        seeds = random.integers("augmentation", 0, 2**31).tolist()
        each = [self._told(lr, seed) for lr, seed in zip(batch.lr, seeds, strict=True)]
        dropped = random.uniform("condition") < self.objective.drop_condition
        chosen = [told.unconditional() if drop else told for told, drop in zip(each, dropped.tolist(), strict=True)]
        return replace(
            each[0],
            latent=torch.cat([told.latent for told in chosen]),
            embedding=torch.cat([told.embedding for told in chosen]),
            time_ids=torch.cat([told.time_ids for told in chosen]),
        )

    def _told(self, lr: Tensor, seed: int) -> DCVSRCondition:
        return self.prior.condition(lr, Scene(seed=seed, frames=range(len(lr)), shot=0))

    def unconditional(self, condition: DCVSRCondition) -> DCVSRCondition:
        return condition.unconditional()

    def schedule(self, num_steps: int) -> Sequence[Step]:
        return karras_steps(num_steps, sigma_min=SIGMA_MIN, sigma_max=SIGMA_MAX)

    def raw(self, z: Tensor, levels: Levels, condition: DCVSRCondition) -> Tensor:
        radius = (levels.alpha**2 + levels.sigma**2).sqrt()
        return predicted(self.network, z / expanded(radius, z), levels.t, condition)

    def save(self, folder: Path) -> None:
        self._save(folder)

    def save_student(self, folder: Path, num_steps: int) -> None:
        self._save(folder, (f"a student that takes {num_steps} steps",), steps=num_steps, guidance="none")

    def _save(self, folder: Path, notes: tuple[str, ...] = (), **defaults: Any) -> None:
        copy_rest(self.folder, folder, without=("unet",))
        self.network.save_pretrained(folder / "unet")
        finish_folder(
            folder, DC_VSR_NAME, random=self.random_weights, started_from=self.folder, notes=notes, defaults=defaults
        )

    def restore(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return each_restored(self.network, batch, lambda lr, number: self._restore_one(lr, number, random.seed))

    def _restore_one(self, lr: Tensor, number: int, seed: int) -> Tensor:
        prior, steps, condition = self.prior, self.schedule(self.objective.preview_steps), self._told(lr, seed)
        noise = ClipRandom(seed, (number,)).normal("preview", condition.latent.shape[1:], self.device)
        return prior.decode(sample(prior, start_scale(steps[0]) * noise, steps, condition), condition)
