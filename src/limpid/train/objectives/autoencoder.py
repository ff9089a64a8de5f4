"""Teaching an autoencoder's decoder to give steady, sharp clips: UAV section 3.2, DiffVSR section 3.3,
MGLD section 3.3.

The encoder stays as it is, because the denoiser works on its latents. Pixel terms are of frames in [-1, 1], as in the
papers' code base, so that weights mean what they mean there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.checkpoints.folders import read_card
from limpid.flow.estimate import DISFlow, FlowEstimator
from limpid.flow.installed import flow_estimator
from limpid.train.freezing import sizes
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.adversarial import adaptive_weight, critic_hinge, generator_hinge
from limpid.train.losses.perceptual import Perceptual, find_perceptual
from limpid.train.losses.pixels import frame_difference, l1
from limpid.train.losses.structure import structure_weighted_consistency
from limpid.train.networks.critics import PatchCritic, TemporalPatchCritic
from limpid.train.objectives.denoising import ready_to_train
from limpid.train.objectives.folders import copy_rest, finish_folder
from limpid.train.objectives.latents import LatentSource
from limpid.train.stage import Stage, Start
from limpid.train.starts.autoencoder import (
    AutoencoderChoice,
    autoencoder_kinds,
    full_autoencoder,
    start_autoencoder,
)
from limpid.types import SettingsError


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weights of the terms of the loss; 0 leaves one out."""

    l1: float = 1.0
    perceptual: float = 1.0
    difference: float = 0.0
    """Frame difference, MGLD Eq. 4."""
    consistency: float = 0.0
    """Structure-weighted consistency, MGLD Eq. 5."""
    adversarial: float = 0.025
    """Times the adaptive weight, which makes it a share of the gradient of all other terms."""


@dataclass(frozen=True, kw_only=True)
class DecoderTraining:
    """Objective of the autoencoder stages.

    It starts from a folder of converted weights that has the image autoencoder, or the one that is trained.
    """

    network: AutoencoderChoice
    weights: LossWeights = field(default_factory=LossWeights)
    latents: LatentSource = field(default_factory=LatentSource)
    input_weight: float = 1.0
    """How strongly a decoder with CFW follows the enlarged LR frames; 0: it learns without them, and the weights say
    so."""
    critic: Literal["clips", "frames"] = "clips"
    """Temporal PatchGAN, or PatchGAN frame by frame."""
    critic_width: int = 64
    critic_levels: int = 6
    critic_first_steps: int = 0
    """Steps in which the critic learns and the decoder does not listen to it yet."""

    def learner(self, start: Start, stage: Stage) -> DecoderLearner:
        folder = start.previous or start.weights
        if folder is None:
            raise SettingsError("training an autoencoder starts from weights: give --start with converted ones")
        if stage.clips.scale != 4:
            raise SettingsError(
                f"clips shrink {stage.clips.scale} times; this autoencoder is told of LR frames 4 times smaller"
            )
        if read_card(folder).random:
            start.notes.append(f"the weights in {folder} are random numbers: this is a trial, the result is useless")
        latents = self.latents.inside(start.assets)
        start.notes.append(latents.note())
        return DecoderLearner(replace(self, latents=latents), start, stage, folder)

    def parameter_table(self) -> dict[str, int]:
        """Parameters of the full network by kind of layer, counted without its weights."""
        vae = full_autoencoder(self.network)
        return sizes(vae, autoencoder_kinds(vae))

    def player_table(self) -> dict[str, int]:
        """Parameters of the critic."""
        if not self.weights.adversarial:
            return {}
        with torch.device("meta"):
            return {"critic": sum(p.numel() for p in self.make_critic().parameters())}

    def make_critic(self) -> nn.Module:
        kind = TemporalPatchCritic if self.critic == "clips" else PatchCritic
        return kind(self.critic_width, self.critic_levels)


class DecoderLearner:
    """Learner of an autoencoder, with its critic where there is one: see `limpid.train.learner.Learner`."""

    def __init__(self, objective: DecoderTraining, start: Start, stage: Stage, folder: Path) -> None:
        self.objective, self.folder, self.batch = objective, folder, stage.batch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(start.seed)
            self.vae: Any = ready_to_train(start_autoencoder(objective.network, folder), start.device)
            self.critic = objective.make_critic().to(start.device) if objective.weights.adversarial else None
        self.perceptual: Perceptual | None = None
        if objective.weights.perceptual:
            self.perceptual = find_perceptual(start.assets, start.device, start.notes)
        self.flow: FlowEstimator | None = None
        if objective.weights.consistency:
            self.flow = find_flow(folder, start.notes)

    @property
    def players(self) -> Mapping[str, nn.Module]:
        critics = {} if self.critic is None else {"critic": self.critic}
        return {"model": self.vae, **critics}

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return autoencoder_kinds(self.vae)

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        truth = batch.hr * 2 - 1
        if player == "critic":
            assert self.critic is not None
            with torch.no_grad():
                made = self.decode(batch, random)
            return {"hinge": critic_hinge(self.critic(truth), self.critic(made)).mean()}
        made = self.decode(batch, random)
        terms = self.compared(made, truth, batch)
        listens = self.listens(batch)
        if self.critic is not None and bool(listens.any()):
            rest = torch.stack([*terms.values()]).sum(0)
            said = generator_hinge(self.critic(made))
            balance = adaptive_weight(rest, said, made, last_layer(self.vae))
            terms["adversarial"] = self.objective.weights.adversarial * balance * listens * said
        return {name: term.mean() for name, term in terms.items()}

    def listens(self, batch: ClipBatch) -> Tensor:
        """1 for clips of steps in which the decoder listens to the critic, else 0: ``b``."""
        steps = torch.tensor(batch.numbers, device=batch.hr.device) // self.batch
        return (steps >= self.objective.critic_first_steps).float()

    def decode(self, batch: ClipBatch, random: ClipRandom, *, preview: bool = False) -> Tensor:
        """Frames ``b t 3 H W``, about [-1, 1]."""
        b, t = batch.hr.shape[:2]
        z = self.objective.latents.clips(self.vae, batch, random, preview=preview)
        frames = decoded(self.vae, z, t, batch.lr.flatten(0, 1) * 2 - 1, self.objective.input_weight)
        return torch.unflatten(frames.float(), 0, (b, t))

    def compared(self, made: Tensor, truth: Tensor, batch: ClipBatch) -> dict[str, Tensor]:
        """All terms but the critic's, weighted, ``b`` each."""
        weights = self.objective.weights
        terms = {"l1": weights.l1 * l1(made, truth)}
        if self.perceptual is not None:
            terms[self.perceptual.name] = weights.perceptual * self.perceptual((made + 1) / 2, batch.hr)
        if weights.difference:
            terms["difference"] = weights.difference * frame_difference(made, truth)
        if weights.consistency:
            swc = structure_weighted_consistency(made, batch.hr, *self.flows(batch))
            terms["consistency"] = weights.consistency * swc
        return terms

    def flows(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Flow of the truth, forward and backward, ``b t-1 2 H W`` each: exact where it is known, else estimated."""
        if batch.flow_forward is not None and batch.flow_backward is not None:
            return batch.flow_forward, batch.flow_backward
        assert self.flow is not None
        b, t = batch.hr.shape[:2]
        before, after = batch.hr[:, :-1].flatten(0, 1), batch.hr[:, 1:].flatten(0, 1)
        with torch.no_grad():
            both = [self.flow(before, after), self.flow(after, before)]
        forward, backward = (torch.unflatten(flow, 0, (b, t - 1)) for flow in both)
        return forward, backward

    def save(self, folder: Path) -> None:
        name = self.objective.network.folder
        copy_rest(self.folder, folder, without=(name,))
        self.vae.save_pretrained(folder / name)
        card = read_card(self.folder)
        notes = (f"{name} was trained on clips",)
        defaults = card.defaults if self.objective.input_weight else {**card.defaults, "decoder_weight": 0.0}
        finish_folder(folder, card.name, random=card.random, started_from=self.folder, notes=notes, defaults=defaults)

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        """Decoded from the same kind of latents as in training."""
        return (self.decode(batch, random, preview=True) + 1).div(2).clamp(0, 1)


def decoded(vae: Any, z: Tensor, num_frames: int, lr: Tensor, weight: float = 1.0) -> Tensor:
    """Frames ``(b t) 3 H W`` of latents, told of the LR frames ``(b t) 3 h w`` in [-1, 1] in the way the decoder wants.

    CFW follows the encoder's features of the LR frames, enlarged, with ``weight``; SFT always does at full weight.
    """
    if not hasattr(vae, "features"):
        frames: Tensor = vae.decode(z, num_frames=num_frames, lr=lr)
        return frames
    if weight == 0:
        frames = vae.decode(z, num_frames, None, 0.0)
        return frames
    with torch.no_grad():
        size = [vae.pixels_per_latent * edge for edge in z.shape[-2:]]
        large = F.interpolate(lr, size, mode="bicubic", align_corners=False).clamp(-1, 1)
        features = vae.features(large)
    frames = vae.decode(z, num_frames, features, weight)
    return frames


def last_layer(vae: nn.Module) -> Tensor:
    """The convolution nearest to the frames that learns. Raises SettingsError when none does."""
    names = ("decoder.", "time_conv_out.")
    learning = [(name, p) for name, p in vae.named_parameters() if p.requires_grad and p.ndim >= 4]
    near = [p for name, p in learning if name.startswith(names)] or [p for _, p in learning]
    if not near:
        raise SettingsError("no convolution of the decoder learns; train the temporal layers too")
    return near[-1]


def find_flow(folder: Path, notes: list[str]) -> FlowEstimator:
    """RAFT where its weights lie beside the others; else DIS, which is said."""
    found = flow_estimator("auto", folder)
    if isinstance(found, DISFlow):
        notes.append(
            f"motion of clips is estimated by DIS, because RAFT is neither in {folder / 'flow'} nor installed "
            "(limpid weights convert raft-things)"
        )
    return found
