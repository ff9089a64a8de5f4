"""A linear model that learns to brighten, an adversary for it, and clips of random numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.loop import Run
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage, Start

GAIN = 0.5


class ToyNetwork(nn.Module):
    dropout = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(3, 3, 1)
        self.temporal = nn.Conv1d(3, 3, 3, padding=1)
        self.drop = nn.Dropout(self.dropout)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, lr: Tensor) -> Tensor:
        b, t, _, h, w = lr.shape
        if self.training:
            self.seen += 1
        x = self.drop(self.spatial(lr.flatten(0, 1))).reshape(b, t, 3, h, w)
        return x + self.temporal(x.mean((3, 4)).transpose(1, 2)).transpose(1, 2)[..., None, None]


class ToyLearner:
    def __init__(self, critic: bool, poison: int | None) -> None:
        self.model = ToyNetwork()
        self.critic = nn.Conv2d(3, 1, 1) if critic else None
        self.poison = poison

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {"model": self.model} | ({"critic": self.critic} if self.critic is not None else {})

    def kinds(self) -> Mapping[str, Sequence[str]]:
        names = [name for name, _ in self.model.named_parameters()]
        return {kind: [n for n in names if n.startswith(kind)] for kind in ("spatial", "temporal")}

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        noise = random.normal("noise", batch.lr.shape[1:], batch.lr.device)
        made = self.model(batch.lr + 0.01 * noise)
        truth = F.avg_pool2d(batch.hr.flatten(0, 1), 4).reshape(batch.lr.shape)
        if player == "critic":
            assert self.critic is not None
            fake, real = self.critic(made.detach().flatten(0, 1)), self.critic(truth.flatten(0, 1))
            return {"hinge": (F.relu(1 + fake) + F.relu(1 - real)).mean()}
        terms = {"distance": (made - truth).square().mean()}
        if self.critic is not None:
            terms["adversarial"] = -0.01 * self.critic(made.flatten(0, 1)).mean()
        if self.poison in batch.numbers:
            terms["distance"] = terms["distance"] * float("nan")
        return terms

    def save(self, folder: Path) -> None:
        save_file(dict(self.model.state_dict()), folder / "toy.safetensors")

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        assert not self.model.training
        made = self.model(batch.lr)
        return F.interpolate(made.flatten(0, 1), scale_factor=4).reshape(batch.hr.shape).clamp(0, 1)


@dataclass(frozen=True, kw_only=True)
class ToyObjective:
    critic: bool = False
    poison: int | None = None
    """Number of a clip whose loss is NaN."""

    def learner(self, start: Start, stage: Stage) -> ToyLearner:
        learner = ToyLearner(self.critic, self.poison)
        given = start.previous or start.weights
        if given is not None:
            learner.model.load_state_dict(load_file(given / "toy.safetensors"))
        return learner


@dataclass
class ToyClips:
    """Clip n is drawn from a generator seeded with n. ``before``: called with the numbers of each batch."""

    fingerprint: str = "toy"
    before: Callable[[Sequence[int]], None] = lambda numbers: None
    asked: list[tuple[int, ...]] = field(default_factory=list)

    def batches(self, numbers: Iterable[Sequence[int]]) -> Iterator[ClipBatch]:
        for group in numbers:
            self.before(group)
            self.asked.append(tuple(group))
            hr = torch.stack([torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(n)) for n in group])
            lr = GAIN * F.avg_pool2d(hr.flatten(0, 1), 4).reshape(len(group), 3, 3, 2, 2)
            yield ClipBatch(
                numbers=tuple(group), hr=hr, lr=lr, captions=("",) * len(group), keys=tuple(f"toy {n}" for n in group)
            )


STAGE = Stage(
    name="toy",
    objective=ToyObjective(),
    trainable=("all",),
    clips=ClipSpec(frames=3, crop_px=8),
    steps=12,
    batch=4,
    optimizer=Optimizer(rate=0.02, warmup_steps=2, course="cosine", final_fraction=0.1),
    average=0.9,
)


def toy_recipe(*stages: Stage, **changes: Any) -> Recipe:
    chosen = stages or (replace(STAGE, **changes),)
    return Recipe(name="toy", summary="for tests", stages=chosen)


def toy_run(
    out: Path,
    *stages: Stage,
    clips: ToyClips | None = None,
    run: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Run:
    """A run on the CPU with the given stages, or the toy one with ``changes``; ``run``: fields of Run."""
    source = clips or ToyClips()
    values = {"device": "cpu", "precision": "float32", "log_every": 1, **(run or {})}
    return Run(recipe=toy_recipe(*stages, **changes), out=out, open_source=lambda stage: source, **values)


def weights(out: Path, name: str = "final") -> dict[str, Tensor]:
    return load_file(out / name / "toy.safetensors")


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
