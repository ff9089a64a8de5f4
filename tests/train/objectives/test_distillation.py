"""Few steps from many: the paths, the targets, and that a student follows its teacher."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from limpid.diffusion.schedules import Betas, karras_steps, vp_steps
from limpid.priors.tiny import TinyConfig
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.denoising import Levels, edm_levels
from limpid.train.objectives.distillation import (
    DistillingLearner,
    FewSteps,
    drawn,
    inverse_jump,
    jump,
    passages,
)
from limpid.train.objectives.tiny import TinyDenoising
from limpid.train.objectives.tiny_system import TinySystem, TinyTeaching
from limpid.train.stage import ClipSpec, Optimizer, Stage, Start
from limpid.types import SettingsError

TEACHING = TinyTeaching(denoising=TinyDenoising(config=TinyConfig(channels=16, blocks=2, shifts=(1,))), sigma_min=0.5)
CPU = torch.device("cpu")


def make_stage(objective: Any) -> Stage:
    clips = ClipSpec(frames=2, crop_px=32)
    return Stage(
        name="x", objective=objective, trainable=("all",), clips=clips, steps=1, batch=2, optimizer=Optimizer(rate=1e-3)
    )


def make_batch(count: int = 2, frames: int = 2, lr_px: int = 8) -> ClipBatch:
    hr = torch.rand(count, frames, 3, 4 * lr_px, 4 * lr_px, generator=torch.Generator().manual_seed(1))
    lr = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 4).reshape(count, frames, 3, lr_px, lr_px)
    return ClipBatch(numbers=tuple(range(count)), hr=hr, lr=lr, captions=("",) * count, keys=("",) * count)


def make_learner(**values: Any) -> DistillingLearner:
    objective = FewSteps(teaching=TEACHING, **{"steps": 2, "teacher_steps": 9, **values})
    learner = objective.learner(Start(device=CPU, seed=0), make_stage(objective))
    with torch.no_grad():  # a new network says the same of every noise; this one does not
        for network in (learner.student.network, learner.teacher.network):
            network.conv_spread.bias.fill_(1.0)
    return learner


def levels(alpha: float, sigma: float) -> Levels:
    return Levels(*(torch.tensor([v, v]) for v in (0.0, alpha, sigma)))


@pytest.mark.parametrize("end", [(1.0, 0.0), (0.9, 0.4)])
def test_a_jump_and_its_inverse(end: tuple[float, float]) -> None:
    z, x0 = torch.randn(2, 3, 1, 2, 2), torch.randn(2, 3, 1, 2, 2)
    here, there = levels(0.6, 0.8), levels(*end)
    arrived = jump(z, x0, here, there)
    eps = (z - 0.6 * x0) / 0.8
    assert torch.allclose(arrived, end[0] * x0 + end[1] * eps, atol=1e-6)
    assert torch.allclose(inverse_jump(z, arrived, here, there), x0, atol=1e-5)


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        (karras_steps(1, 0.5, 80), karras_steps(9, 0.5, 80)),
        (karras_steps(2, 0.5, 80), karras_steps(9, 0.5, 80)),
        (karras_steps(4, 0.5, 80), karras_steps(10, 0.5, 80)),
        (vp_steps(4, Betas(), spacing="trailing"), vp_steps(32, Betas(), spacing="trailing")),
        (vp_steps(3, Betas(), spacing="trailing"), vp_steps(32, Betas(), spacing="trailing")),
    ],
)
def test_every_segment_is_walked_from_its_beginning_to_its_end(student: Any, teacher: Any) -> None:
    paths = passages(student, teacher)
    assert len(paths) == len(teacher)
    ends = [(float(p.end.alpha), float(p.end.sigma)) for p in paths if p.arrived]
    assert ends == [pytest.approx((s.alpha_next, s.sigma_next)) for s in student]
    for path, step in zip(paths, teacher, strict=True):
        assert float(path.here.t) == pytest.approx(step.t)
        assert float(path.here.sigma) > float(path.there.sigma) >= float(path.end.sigma) - 1e-6
    for path, after in pairwise(paths):
        if not path.arrived:
            assert [float(a) for a in path.there] == pytest.approx([float(b) for b in after.here])


def test_a_student_that_is_a_perfect_teacher_has_nothing_to_learn() -> None:
    """Where the answer does not depend on the noise level, every jump of one path leads to the same end."""
    learner, batch = make_learner(), make_batch()
    answer = torch.randn(2, 192, 2, 4, 4)
    learner.student.raw = learner.teacher.raw = lambda z, levels, told: answer  # type: ignore[method-assign]
    loss = learner.losses("model", batch, ClipRandom(0, batch.numbers))["distillation"]
    assert loss < 1e-6


def test_on_a_teacher_with_a_known_path_the_target_is_its_end() -> None:
    """Data that are one point, seen through a Gaussian of variance s^2: the denoiser and the path are known."""
    learner, spread = make_learner(steps=1, teacher_steps=400), 0.7

    def wiener(z: Tensor, levels: Levels, told: Any) -> Tensor:
        gain = spread**2 / (spread**2 + levels.sigma**2)
        return gain[:, None, None, None, None] * z

    def perfect(z: Tensor, levels: Levels, told: Any) -> Tensor:
        """What leads from z to the end of the path, sigma 0: there z has shrunk by s / sqrt(s^2 + sigma^2)."""
        shrink = spread / (spread**2 + levels.sigma**2).sqrt()
        return shrink[:, None, None, None, None] * z

    learner.teacher.raw, learner.student.raw = wiener, perfect  # type: ignore[method-assign]
    batch = make_batch()
    random = ClipRandom(0, batch.numbers)
    passage = drawn(learner.paths, random, CPU)
    z = torch.randn(2, 192, 2, 4, 4) * (spread**2 + passage.here.sigma**2).sqrt()[:, None, None, None, None]
    goal = learner._goal(z, passage, None)
    assert (goal - perfect(z, passage.here, None)).abs().max() < 0.02 * goal.abs().max()


def test_the_teacher_stays_and_the_student_learns() -> None:
    learner, batch = make_learner(), make_batch()
    before = [p.clone() for p in learner.teacher.network.parameters()]
    optimizer = torch.optim.Adam(learner.players["model"].parameters(), lr=1e-2)
    seen = []
    for step in range(30):
        loss = learner.losses("model", batch, ClipRandom(step % 3, batch.numbers))["distillation"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    assert sum(seen[-6:]) < sum(seen[:6])
    assert all(torch.equal(a, b) for a, b in zip(before, learner.teacher.network.parameters(), strict=True))


def test_guidance_belongs_to_the_teacher_only() -> None:
    learner, batch = make_learner(guidance_scale=3.0), make_batch()
    calls: list[str] = []

    def raw(z: Tensor, levels: Levels, told: Any) -> Tensor:
        calls.append(str(told))
        return torch.full_like(z, 1.0 if told == "told" else 0.5)

    learner.teacher.raw = raw  # type: ignore[method-assign]
    learner.teacher.unconditional = lambda condition: "untold"  # type: ignore[method-assign]
    taught = learner._taught(torch.zeros(2, 192, 2, 4, 4), edm_levels(torch.ones(2)), "told")
    assert calls == ["told", "untold"] and torch.allclose(taught, torch.full_like(taught, 0.5 + 3 * 0.5))
    with pytest.raises(SettingsError, match="no guidance"):
        make_learner(guidance_scale=3.0).losses("model", batch, ClipRandom(0, batch.numbers))


def test_more_cannot_be_learned_from_fewer() -> None:
    with pytest.raises(SettingsError, match="4 steps cannot be learned from 4"):
        make_learner(steps=4, teacher_steps=4)


def test_sampling_a_known_gaussian_ends_where_its_path_ends() -> None:
    system: TinySystem = TEACHING.system(Start(device=CPU, seed=0), make_stage(TEACHING))
    spread = 0.7
    system.raw = lambda z, levels, told: z * (spread**2 / (spread**2 + levels.sigma**2))[:, None, None, None, None]  # type: ignore[method-assign]
    batch = make_batch()
    random = ClipRandom(0, batch.numbers)
    start = 80 * random.normal("sampled", (192, 2, 4, 4))
    many = replace(TEACHING, sigma_min=0.01)
    system.teaching = many
    z = system.sampled(batch, random, 400)
    assert torch.allclose(z, start * spread / (spread**2 + 80**2) ** 0.5, rtol=0.05, atol=1e-3)
