"""Teaching a light decoder to draw what a method's full decoder draws; ours.

The full decoder is the teacher, and its frames are the aim, not the true ones: so the student needs no critic to become
sharp, because what it copies is sharp already, and is steady as far as the teacher is. The encoder is the teacher's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limpid.checkpoints.folders import read_card
from limpid.methods.upscaler_family import LIGHT
from limpid.networks.autoencoder.official import KEPT
from limpid.networks.by_name import make_network
from limpid.priors.load.upscaler import UpscalerFiles, load_autoencoder
from limpid.train.freezing import by_kind, sizes
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.perceptual import Perceptual, find_perceptual
from limpid.train.losses.pixels import frame_difference, l1
from limpid.train.objectives.denoising import ready_to_train
from limpid.train.objectives.folders import copy_rest, finish_folder, starting_folder
from limpid.train.objectives.latents import LatentSource
from limpid.train.stage import Stage, Start
from limpid.train.starts.autoencoder import AutoencoderChoice, full_autoencoder
from limpid.train.starts.light_decoder import start_light_decoder
from limpid.types import Placement


@dataclass(frozen=True, kw_only=True)
class LightDecoder:
    """Objective of the light decoders. It starts from converted weights of the method, and goes on from its own."""

    method: str
    teacher: str
    """Folder of the full autoencoder in the method's weights."""
    decoder: Mapping[str, Any] = field(default_factory=dict)
    """``width``, ``blocks``, ``shifts`` of `limpid.networks.autoencoder.LightVAE`, where they are not its defaults."""
    latents: LatentSource = field(default_factory=LatentSource)
    l1: float = 1.0
    """Weight of the pixel term, of frames in [-1, 1]."""
    perceptual: float = 1.0
    """Weight of LPIPS, or of what takes its place; 0 leaves it out, as with the next."""
    difference: float = 0.5
    """Weight of the frame difference, MGLD Eq. 4, here between student and teacher."""

    def learner(self, start: Start, stage: Stage) -> LightLearner:
        folder = starting_folder(self.method, (self.method,), start, stage)
        latents = self.latents.inside(start.assets)
        start.notes.append(latents.note())
        return LightLearner(replace(self, latents=latents), start, folder)

    def parameter_table(self) -> dict[str, int]:
        """Parameters of the student beside the full teacher, by kind of layer, counted without weights."""
        teacher = full_autoencoder(AutoencoderChoice(kind="UpscalerVAE", folder=self.teacher))
        kept = {key: teacher.config[key] for key in KEPT if key in teacher.config}  # type: ignore[index,operator]
        vae = make_network("LightVAE", {**kept, **self.decoder})
        return sizes(vae, light_decoder_kinds(vae))


def light_decoder_kinds(vae: nn.Module) -> dict[str, list[str]]:
    """Names of parameters: ``decoder``, and ``encoder``, which is the teacher's and has to stay so."""
    return by_kind(vae, lambda name: "decoder" if name.startswith("decoder.") else "encoder")


class LightLearner:
    """Learner of a light decoder, the student of the full one: see `limpid.train.learner.Learner`."""

    def __init__(self, objective: LightDecoder, start: Start, folder: Path) -> None:
        self.objective, self.folder = objective, folder
        placement = Placement(device=start.device, dtype=torch.float32)
        files = UpscalerFiles(folder=folder, autoencoder=objective.teacher)
        self.teacher: Any = load_autoencoder(files, placement).to(start.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(start.seed)
            self.vae: Any = ready_to_train(start_light_decoder(self.teacher, objective.decoder, folder), start.device)
        self.perceptual: Perceptual | None = None
        if objective.perceptual:
            self.perceptual = find_perceptual(start.assets, start.device, start.notes)

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {"model": self.vae}

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return light_decoder_kinds(self.vae)

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        z = self.latents(batch, random)
        with torch.no_grad():
            wanted = decoded_clips(self.teacher, z, batch).clamp(-1, 1)  # as methods do with what they decode
        made, objective = decoded_clips(self.vae, z, batch), self.objective
        terms = {"l1": objective.l1 * l1(made, wanted)}
        if self.perceptual is not None:
            close = self.perceptual((made + 1) / 2, (wanted + 1) / 2)
            terms[self.perceptual.name] = objective.perceptual * close
        if objective.difference:
            terms["difference"] = objective.difference * frame_difference(made, wanted)
        return {name: term.mean() for name, term in terms.items()}

    def latents(self, batch: ClipBatch, random: ClipRandom, *, preview: bool = False) -> Tensor:
        """``(b t) c h w`` for teacher and student alike."""
        return self.objective.latents.clips(self.teacher, batch, random, preview=preview)

    def save(self, folder: Path) -> None:
        """All that the method has, the full autoencoder too, with the student beside it."""
        copy_rest(self.folder, folder, without=(LIGHT,))
        self.vae.save_pretrained(folder / LIGHT)
        card = read_card(self.folder)
        finish_folder(
            folder,
            card.name,
            random=card.random,
            started_from=self.folder,
            notes=(f"{LIGHT} was distilled from {self.objective.teacher}; --autoencoder light uses it",),
            defaults=card.defaults,
        )

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        """Frames of the student, decoded from the same kind of latents as in training."""
        made = decoded_clips(self.vae, self.latents(batch, random, preview=True), batch)
        return (made + 1).div(2).clamp(0, 1)


def decoded_clips(vae: Any, z: Tensor, batch: ClipBatch) -> Tensor:
    """Frames ``b t 3 H W``, float32, about [-1, 1], of latents ``(b t) c h w`` and the LR frames of a batch."""
    b, t = batch.lr.shape[:2]
    frames: Tensor = vae.decode(z, num_frames=t, lr=batch.lr.flatten(0, 1) * 2 - 1)
    return torch.unflatten(frames.float(), 0, (b, t))
