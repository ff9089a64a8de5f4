"""Students of the large methods and of `tiny`: they learn, and say what they were made for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from limpid.checkpoints.folders import read_card
from limpid.methods import METHODS, find_method
from limpid.methods.tiny_ends import TINY_FILE
from limpid.priors.load.schedule_config import read_schedule
from limpid.priors.tiny import load_tiny
from limpid.settings import Settings
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.distillation import DistillingLearner
from limpid.train.recipes import find_recipe
from limpid.train.stage import Start
from limpid.train.starts.random import random_converted


def make_learner(name: str, start: Path | None) -> DistillingLearner:
    recipe = find_recipe(name).small
    assert recipe is not None
    stage = recipe().stages[0]
    learner = stage.objective.learner(Start(device=torch.device("cpu"), seed=0, weights=start), stage)
    assert isinstance(learner, DistillingLearner)
    return learner


def make_batch(count: int = 2, frames: int = 2, lr_px: int = 8) -> ClipBatch:
    hr = torch.rand(count, frames, 3, 4 * lr_px, 4 * lr_px, generator=torch.Generator().manual_seed(1))
    lr = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 4).reshape(count, frames, 3, lr_px, lr_px)
    return ClipBatch(numbers=tuple(range(count)), hr=hr, lr=lr, captions=("a cat",) * count, keys=("",) * count)


@pytest.mark.parametrize("name", ["upscale-a-video/few-step", "diffvsr/few-step"])
def test_a_student_of_a_large_method_learns_and_says_how_it_is_run(name: str, tmp_path: Path) -> None:
    base = random_converted(name.partition("/")[0], tmp_path / "teacher")
    learner, batch = make_learner(name, base), make_batch()
    assert learner.objective.guidance_scale > 1
    loss = learner.losses("model", batch, ClipRandom(0, batch.numbers))["distillation"]
    loss.backward()
    grads = [p.grad for p in learner.players["model"].parameters() if p.grad is not None]
    assert loss.isfinite() and any(g.abs().sum() > 0 for g in grads)
    assert all(p.grad is None for p in learner.teacher.network.parameters())
    student = tmp_path / "student"
    student.mkdir()
    learner.save(student)
    steps = learner.objective.steps
    assert read_card(student).defaults == {"steps": steps, "guidance_scale": 1.0}
    assert read_schedule(student / "scheduler").spacing == "trailing"
    assert read_schedule(base / "scheduler").spacing == "leading"
    method = find_method(name.partition("/")[0], Settings(weights=str(student)))
    assert method.steps == steps and method.guidance.scale == 1.0  # type: ignore[union-attr]
    learned = learner.student.schedule(steps)
    assert [(s.t, s.alpha) for s in method.make_schedule(steps)] == [(s.t, s.alpha) for s in learned]
    assert json.loads((student / "unet" / "config.json").read_text())["temporal"] is True


def test_a_student_of_tiny_says_how_many_steps_it_takes(tmp_path: Path) -> None:
    learner = make_learner("tiny/few-step", None)
    learner.save(tmp_path)
    method = METHODS["tiny"](weights=tmp_path)
    assert method.steps == 2 and METHODS["tiny"]().steps == 1
    assert method.make_schedule(2) == tuple(learner.student.schedule(2))
    load_tiny(tmp_path / TINY_FILE)
    assert learner.preview(make_batch(), ClipRandom(0, (0, 1))).shape == (2, 2, 3, 32, 32)
