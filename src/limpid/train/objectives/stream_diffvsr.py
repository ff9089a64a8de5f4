"""Teaching Stream-DiffVSR in three stages: the denoiser of few steps, the decoder's temporal processors, the branch.

What is known of the stages is what each teaches and in which order; losses, their weights and the motion that is warped
along are ours. The denoiser and the branch learn by *rollout*: they go all the way from noise in the steps that they
take where they run, and the end is compared with the clean latent, so that they learn from what they themselves make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from limpid.checkpoints.folders import read_card
from limpid.consistency.previous_frame import PreviousFrame, stretched_warp
from limpid.convert.contents import CONTENTS
from limpid.diffusion.noise import start_scale
from limpid.diffusion.parametrisations import from_v
from limpid.diffusion.samplers import DDIM
from limpid.flow.estimate import DISFlow
from limpid.method import LaneContext
from limpid.methods.common import STREAM_DIFFVSR_NAME
from limpid.methods.stream_diffvsr import stream_schedule
from limpid.networks.by_name import make_official
from limpid.priors.load.stream_diffvsr import StreamDiffVSRFiles, load_stream_networks
from limpid.priors.stream_diffvsr import StreamDiffVSRPrior
from limpid.train.freezing import by_kind, sizes
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.diffusion import per_clip
from limpid.train.losses.perceptual import find_perceptual
from limpid.train.losses.pixels import l1
from limpid.train.objectives.denoising import (
    NetworksInMemory,
    each_restored,
    encoded_clips,
    no_noise,
    ready_to_train,
    sample,
)
from limpid.train.objectives.folders import copy_rest, finish_folder, starting_folder
from limpid.train.objectives.texts import Texts
from limpid.train.stage import Stage, Start
from limpid.types import Placement, Scene, Segment, Window

StreamPart = Literal["unet", "vae", "controlnet"]


@dataclass(frozen=True, kw_only=True)
class StreamTraining:
    """Objective of one stage: which of the networks learns, while the others stay."""

    part: StreamPart
    steps: int = 4
    perceptual: float = 1.0
    """Weight of the perceptual term beside the L1 of the decoder's frames."""

    def learner(self, start: Start, stage: Stage) -> StreamLearner:
        folder = starting_folder(STREAM_DIFFVSR_NAME, (STREAM_DIFFVSR_NAME,), start, stage)
        return StreamLearner(self, folder, start)

    def parameter_table(self) -> dict[str, int]:
        """Parameters of the full network by kind of layer, counted without its weights."""
        (row,) = (row for row in CONTENTS[STREAM_DIFFVSR_NAME].networks if row.folder == self.part)
        network = make_official(row.kind, row.default_config, temporal=row.temporal)
        return sizes(network, stream_kinds(network, self.part))


class StreamLearner:
    """Learner of one of the three networks: see `limpid.train.learner.Learner`."""

    def __init__(self, objective: StreamTraining, folder: Path, start: Start) -> None:
        self.objective, self.folder, self.device = objective, folder, start.device
        placement = Placement(device=start.device, dtype=torch.float32)
        found = load_stream_networks(StreamDiffVSRFiles(folder=folder), placement)
        self.networks = NetworksInMemory({name: network.to(start.device) for name, network in found.items()})
        self.network: Any = ready_to_train(self.networks[objective.part], start.device)
        self.texts = Texts(folder, start.device, keep=False)
        self.steps = stream_schedule(folder, objective.steps)
        self.flow = DISFlow(enlarge=1)
        self.perceptual = find_perceptual(start.assets, start.device, start.notes) if objective.part == "vae" else None

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {"model": self.network}

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return stream_kinds(self.network, self.objective.part)

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        with torch.no_grad():
            clean = encoded_clips(self.networks["vae"], batch, random)
        if self.objective.part == "vae":
            return self._decoder_losses(clean, batch)
        told = self.objective.part == "controlnet"
        first = 1 if told else 0
        made = self._rolled(batch.lr[:, first:], self.previous(batch) if told else None, random)
        return {"rollout": per_clip((made - clean[:, :, first:]).square()).mean()}

    def previous(self, batch: ClipBatch) -> Tensor:
        """The true frame before each but the first, warped to it, ``b 3 t-1 H W`` in [-1, 1]."""
        before, after = batch.hr[:, :-1].flatten(0, 1), batch.hr[:, 1:].flatten(0, 1)
        with torch.no_grad():
            flow = self.flow(after, before) if batch.flow_backward is None else batch.flow_backward.flatten(0, 1)
            warped = stretched_warp(before * 2 - 1, flow.to(before))
        return torch.unflatten(warped, 0, (len(batch.hr), -1)).transpose(1, 2)

    def _rolled(self, lr: Tensor, previous: Tensor | None, random: ClipRandom) -> Tensor:
        """All steps from noise, each frame by itself: LR clips ``b t 3 h w`` in [0, 1] to latents ``b 4 t h w``."""
        b, t, _, h, w = lr.shape
        told = {"low_res": (lr * 2 - 1).transpose(1, 2), "encoder_hidden_states": self.texts.embed([""] * b)}
        z = random.normal("noise", (4, t, h, w), lr.device) * start_scale(self.steps[0])
        for step in self.steps:
            side = None if previous is None else self.networks["controlnet"](z, step.t, **told, previous=previous)
            prediction = from_v(z, self.networks["unet"](z, step.t, **told, side=side), step)
            z, _ = DDIM().step(z, prediction.x0, prediction.eps, step, None, no_noise)
        return z

    def _decoder_losses(self, clean: Tensor, batch: ClipBatch) -> dict[str, Tensor]:
        """Decoded from the encoder's own latents, told the true frame before; the first frame is left out."""
        b, truth = len(batch.hr), batch.hr[:, 1:]
        z, previous = (x.transpose(1, 2).flatten(0, 1) for x in (clean[:, :, 1:], self.previous(batch)))
        frames = self.network.decode(z / self.network.config.scaling_factor, len(z) // b, previous=previous)
        made = torch.unflatten(frames, 0, (b, -1))
        assert self.perceptual is not None
        likeness = self.objective.perceptual * self.perceptual((made + 1) / 2, truth).mean()
        return {"l1": l1(made, truth * 2 - 1).mean(), self.perceptual.name: likeness}

    def save(self, folder: Path) -> None:
        part, card = self.objective.part, read_card(self.folder)
        copy_rest(self.folder, folder, without=(part,))
        self.network.save_pretrained(folder / part)
        notes = (f"{part} was trained on clips",)
        name, defaults = STREAM_DIFFVSR_NAME, card.defaults
        finish_folder(folder, name, random=card.random, started_from=self.folder, notes=notes, defaults=defaults)

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return each_restored(self.network, batch, lambda lr, number: self._restored(lr, number, random.seed))

    def _restored(self, lr: Tensor, number: int, seed: int) -> Tensor:
        """A clip frame after frame, as it runs: ``t 3 h w`` to ``t 3 H W``."""
        prompt = self.texts.embed([""])
        prior = StreamDiffVSRPrior(networks=self.networks, prompt=prompt, device=self.device, dtype=torch.float32)
        strategy, carry, frames = PreviousFrame(), dict[str, Tensor](), list[Tensor]()
        whole = Window(start=0, stop=len(lr))
        segment = Segment(index=0, shot=number, shot_start=0, shot_stop=len(lr), core=whole, halo=whole)
        for lane, picture in zip(strategy.lanes(segment), torch.split(lr, 1), strict=True):
            condition = prior.condition(picture, Scene(seed=seed, frames=range(1), shot=number))
            context = LaneContext(
                segment=segment, lane=lane, lr=picture, condition=condition, seed=seed, carry_in=carry
            )
            condition = strategy.on_condition(condition, context, strategy.begin(context))
            shape = (prior.latent_channels, 1, *picture.shape[-2:])
            z = ClipRandom(seed, (number,)).normal(f"preview {lane.window.start}", shape, self.device)
            frames.append(prior.decode(sample(prior, z, self.steps, condition), condition))
            strategy.on_frames(frames[-1], context, None)
            carry = context.carry_out
        return torch.cat(frames).clamp(0, 1)


def stream_kinds(network: nn.Module, part: StreamPart) -> dict[str, list[str]]:
    """Names of the parameters by kind of layer; denoiser and branch learn as a whole."""
    return by_kind(network, stream_layer_kind if part == "vae" else lambda name: "network")


def stream_layer_kind(name: str) -> str:
    """``temporal``: the processors of the decoder, which are all that stage 2 teaches; else ``picture``."""
    new = name.endswith(".alpha") or ".temporal_processor." in name
    return "temporal" if new and name.startswith("decoder.") else "picture"
