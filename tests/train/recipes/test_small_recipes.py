"""Every recipe's small version, on clips that move: its loss falls, the right parameters move, resume is bit-equal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.train import loop
from limpid.train.freezing import learning_names, model_of
from limpid.train.learner import ClipBatch, ClipRandom, Learner
from limpid.train.recipes import RECIPES, find_recipe
from limpid.train.stage import ClipSpec, Recipe, Stage, Start
from limpid.types import Interrupted

CPU = torch.device("cpu")
TEXTURES = 3
DEAF = (".attn2.", ".norm2.")
"""Cross-attention of DC-VSR: with one token of zeros there is nothing to choose or to weigh, and no gradient."""


@dataclass
class Clips:
    """Clip n is one of a few textures that move by whole LR pixels; a signal comes while clip ``stop`` is made."""

    spec: ClipSpec
    stop: int | None = None
    fingerprint: str = "moving textures"

    def batches(self, numbers: Iterable[Sequence[int]]) -> Iterator[ClipBatch]:
        for group in numbers:
            if self.stop is not None and self.stop in group:
                os.kill(os.getpid(), signal.SIGTERM)
            yield self.batch(group)

    def batch(self, numbers: Sequence[int]) -> ClipBatch:
        hr = torch.stack([self.clip(number) for number in numbers])
        lr = F.avg_pool2d(hr.flatten(0, 1), self.spec.scale)
        return ClipBatch(
            numbers=tuple(numbers),
            hr=hr,
            lr=lr.reshape(*hr.shape[:3], *lr.shape[-2:]),
            captions=("",) * len(numbers),
            keys=tuple(f"texture {number % TEXTURES}" for number in numbers),
            teacher=(hr + 0.1 * (hr - hr.mean((-1, -2), keepdim=True))).clamp(0, 1) if self.spec.teacher else None,
        )

    def clip(self, number: int) -> Tensor:
        size, room = self.spec.crop_px, self.spec.scale * self.spec.frames
        random = torch.Generator().manual_seed(number % TEXTURES)
        coarse = torch.rand(1, 3, (size + room) // 4, (size + room) // 4, generator=random)
        large = F.interpolate(coarse, scale_factor=4, mode="bicubic")[0].clamp(0, 1)
        starts = [self.spec.scale * frame for frame in range(self.spec.frames)]
        return torch.stack([large[:, :size, start : start + size] for start in starts])


@dataclass
class Seen:
    """What a stage began and ended with."""

    before: dict[str, Tensor]
    after: dict[str, Tensor]
    loss_before: float
    loss_after: float
    learning: set[str]
    kinds: dict[str, list[str]] = field(default_factory=dict)


def loss_of(learner: Learner, stage: Stage) -> float:
    """The model's loss on the clips of the first step, with noise of its own."""
    name, network = model_of(learner)
    network.train()
    total = 0.0
    with torch.no_grad():
        for seed in range(4):
            batch = Clips(stage.clips).batch(range(stage.batch))
            terms = learner.losses(name, batch, ClipRandom(1000 + seed, batch.numbers))
            total += sum(float(term) for term in terms.values())
    return total / 4


def parameters(learner: Learner) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model_of(learner)[1].named_parameters()}


class Watch:
    """Looks at the learner when a stage is saved, and at one that begins as that stage began."""

    def __init__(self, run: loop.Run) -> None:
        self.run, self.seen, self.save = run, list[Seen](), loop.save_learner

    def __call__(self, learner: Learner, target: Path) -> None:
        index = len(self.seen)
        stage = self.run.recipe.stages[index]
        before = self.run.out / "stages"
        found = [path for path in before.iterdir() if path.is_dir() and path.name.startswith(f"{index:02d}-")]
        torch.manual_seed(self.run.seed)
        previous = found[0] if found else None
        start = Start(device=CPU, seed=self.run.seed, weights=self.run.start, previous=previous, assets=self.run.assets)
        fresh = stage.objective.learner(start, stage)
        seen = Seen(
            before=parameters(fresh),
            after=parameters(learner),
            loss_before=loss_of(fresh, stage),
            loss_after=loss_of(learner, stage),
            learning=learning_names(learner.kinds(), stage),
            kinds={kind: list(names) for kind, names in learner.kinds().items()},
        )
        self.seen.append(seen)
        self.save(learner, target)


def make_run(recipe: Recipe, out: Path, start: Path | None, *, stop: bool = False) -> loop.Run:
    last = recipe.stages[-1]

    def open_source(stage: Stage) -> Any:
        return Clips(stage.clips, stage.batch * (stage.steps // 2) if stop and stage is last else None)

    return loop.Run(
        recipe=recipe, out=out, open_source=open_source, start=start, assets=out.parent, device="cpu", log_every=1
    )


def files(folder: Path) -> dict[str, bytes]:
    """All that a run has trained, but for what says when and where."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.safetensors")}


@pytest.mark.parametrize("name", RECIPES)
def test_small_version(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = find_recipe(name)
    assert whole.name == name and whole.small is not None
    recipe = whole.small()
    assert [s.name for s in recipe.stages] == [s.name for s in whole.stages]
    start = recipe.make_start(tmp_path / "start") if recipe.make_start is not None else None
    run = make_run(recipe, tmp_path / "whole", start)
    watch = Watch(run)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_learner", watch)
        final = loop.train(run)
    for stage, seen in zip(recipe.stages, watch.seen, strict=True):
        assert seen.loss_after < seen.loss_before, stage.name
        moved = {n for n, tensor in seen.after.items() if not torch.equal(tensor, seen.before[n])}
        assert moved <= seen.learning, stage.name
        assert all(moved & set(seen.kinds[kind]) for kind in stage.trainable if kind != "all"), stage.name
        heard = {n for n in seen.learning if not (name.startswith("dc-vsr/") and any(part in n for part in DEAF))}
        assert len(moved) >= 0.9 * len(heard), stage.name
    if ".ablations:" in RECIPES[name]:  # going on is tried with the recipes that they are made from
        return
    with pytest.raises(Interrupted):
        loop.train(make_run(recipe, tmp_path / "parts", start, stop=True))
    again = loop.train(make_run(recipe, tmp_path / "parts", start))
    assert files(again) == files(final)
