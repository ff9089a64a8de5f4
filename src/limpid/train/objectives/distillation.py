"""Few steps from many: multistep consistency distillation (Heek, Hoogeboom and Salimans 2024).

The way from noise to picture is cut into as many segments as the student may take steps. Anywhere in a segment, the
student says what to predict so that one deterministic update leads to where the teacher's own path leaves the segment.
It learns that from itself, one teacher's step further on: ``z_t`` is noised data, the teacher goes on to ``z_s``, the
student's update from there gives the end of the segment, and what leads there from ``z_t`` is the target.

Why this way and not distribution matching: student and teacher stay one network with one sampler, so nothing changes
where it runs; the student follows the teacher's path for the same noise, so what strategies do to noise keeps its
sense; and no critic has to fit into memory beside two networks. Guidance is part of the teacher, so that the student
needs one call per step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from limpid.checkpoints.folders import read_card
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.diffusion import expanded, noised
from limpid.train.objectives.denoising import Levels, System, clean_latent, prediction_error
from limpid.train.stage import Stage, Start
from limpid.types import SettingsError, Step, WeightsError

ROUNDING = 1e-6


class GuidedSystem(System, Protocol):
    """What can be distilled."""

    def schedule(self, num_steps: int) -> Sequence[Step]:
        """The steps that a student of ``num_steps`` takes where it runs, and a teacher's of many."""
        ...

    def unconditional(self, condition: Any) -> Any:
        """The condition of guidance's other branch. Raises SettingsError where there is none."""
        ...

    def save_student(self, folder: Path, num_steps: int) -> None:
        """As `save`, with what makes runs take ``num_steps`` steps without guidance."""
        ...


class Teaching(Protocol):
    """An objective of denoising, whose system is distilled."""

    def system(self, start: Start, stage: Stage) -> GuidedSystem: ...


@dataclass(frozen=True, kw_only=True)
class FewSteps:
    """Objective of a student that starts as its teacher."""

    teaching: Teaching
    steps: int
    teacher_steps: int = 32
    """Over the whole way; more are nearer to the true path, and more calls of the student from where errors add up."""
    guidance_scale: float = 1.0
    """That the teacher is guided with (classifier-free); 1: not at all."""
    teacher: str | None = None
    """The method whose trained weights teach: those of the image model that it is made from know no video. None: the
    objective finds its own."""
    untrained: bool = False
    """Whether a teacher of random numbers will do: for trials, whose results are useless."""

    def learner(self, start: Start, stage: Stage) -> DistillingLearner:
        if not 1 <= self.steps < self.teacher_steps:
            raise SettingsError(
                f"{self.steps} steps cannot be learned from {self.teacher_steps}; more must become fewer"
            )
        self._check_teacher(start)
        return DistillingLearner(self, self.teaching.system(start, stage))

    def parameter_table(self) -> Mapping[str, int] | None:
        """Parameters of the full network by kind of layer; None where it is small enough to be made."""
        table = getattr(self.teaching, "parameter_table", None)
        return None if table is None else dict(table())

    def _check_teacher(self, start: Start) -> None:
        """Raises SettingsError without weights, WeightsError for those that were not trained for the method."""
        folder = start.previous or start.weights
        if self.teacher is None:
            return
        if folder is None:
            raise SettingsError(
                f"a student of {self.teacher} needs its teacher: give --start with trained weights of {self.teacher}"
            )
        card = read_card(folder)
        if card.name != self.teacher:
            raise WeightsError(
                f"{folder} has the weights of {card.name}; a student of {self.teacher} learns from trained weights of "
                f"{self.teacher}"
            )
        if card.random and not self.untrained:
            raise WeightsError(
                f"the weights in {folder} are random numbers, from which a student learns nothing; give --start with "
                f"trained weights of {self.teacher}, or try it with --small"
            )


class Passage(NamedTuple):
    """Where each clip is, ``b``: at ``here``, the teacher's next level, and the end of its segment."""

    here: Levels
    there: Levels
    end: Levels
    arrived: Tensor
    """Whether ``there`` is the end."""


class DistillingLearner:
    """Learner of a student of few steps, with its teacher: see `limpid.train.learner.Learner`."""

    def __init__(self, objective: FewSteps, student: GuidedSystem) -> None:
        self.objective, self.student = objective, student
        self.teacher: GuidedSystem = replace(student, network=frozen_copy(student.network))  # type: ignore[type-var]
        self.paths = passages(student.schedule(objective.steps), student.schedule(objective.teacher_steps))

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {"model": self.student.network}

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return self.student.kinds()

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        with torch.no_grad():
            x0 = self.student.clean(batch, random).float()
            condition = self.student.condition(batch, random)
            passage = drawn(self.paths, random, x0.device)
            z = noised(x0, random.normal("noise", x0.shape[1:], x0.device), passage.here.alpha, passage.here.sigma)
            goal = self._goal(z, passage, condition)
        out = self.student.raw(z, passage.here, condition)
        eps = (z - expanded(passage.here.alpha, z) * goal) / expanded(passage.here.sigma, z)
        return {"distillation": prediction_error(self.student, out, goal, eps, passage.here).mean()}

    def _goal(self, z: Tensor, passage: Passage, condition: Any) -> Tensor:
        """The clean latent to predict at ``here``: what leads to where the path leaves the segment."""
        near = jump(z, self._taught(z, passage.here, condition), passage.here, passage.there)
        # Where the teacher's step ends the segment, the student is not asked; its call may then be of any level.
        asked = Levels(*(torch.where(passage.arrived, h, t) for h, t in zip(passage.here, passage.there, strict=True)))
        own = clean_latent(self.student, near, asked, condition)
        far = jump(near, own, asked, passage.end)
        return inverse_jump(z, torch.where(expanded(passage.arrived, z).bool(), near, far), passage.here, passage.end)

    def _taught(self, z: Tensor, levels: Levels, condition: Any) -> Tensor:
        told = clean_latent(self.teacher, z, levels, condition)
        scale = self.objective.guidance_scale
        if scale == 1.0:
            return told
        untold = clean_latent(self.teacher, z, levels, self.teacher.unconditional(condition))
        return untold + scale * (told - untold)

    def save(self, folder: Path) -> None:
        self.student.save_student(folder, self.objective.steps)

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return self.student.restore(batch, random)


def frozen_copy(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).eval().requires_grad_(False)


# ------------------------------------------------------------------------------------------------- paths


def jump(z: Tensor, x0: Tensor, start: Levels, end: Levels) -> Tensor:
    """The deterministic update (DDIM) from ``z`` with the prediction ``x0``, per clip; exact where ``end`` is clean."""
    ratio = end.sigma / start.sigma
    return expanded(ratio, z) * z + expanded(end.alpha - start.alpha * ratio, z) * x0


def inverse_jump(z: Tensor, arrived: Tensor, start: Levels, end: Levels) -> Tensor:
    """The ``x0`` that leads from ``z`` to ``arrived``."""
    ratio = end.sigma / start.sigma
    return (arrived - expanded(ratio, z) * z) / expanded(end.alpha - start.alpha * ratio, z)


def passages(student: Sequence[Step], teacher: Sequence[Step]) -> tuple[Passage, ...]:
    """Each of the teacher's steps with the end of the student's step in which it begins; one number per field.

    A step across the end of a segment is cut there, so the schedules need not have levels in common.
    """
    return tuple(
        _passage(step, following, student) for step, following in zip(teacher, [*teacher[1:], None], strict=True)
    )


def _passage(step: Step, following: Step | None, student: Sequence[Step]) -> Passage:
    segment = [s for s in student if _noise(s.alpha, s.sigma) >= (1 - ROUNDING) * _noise(step.alpha, step.sigma)][-1]
    end = _levels(0.0, segment.alpha_next, segment.sigma_next)
    beyond = _noise(step.alpha_next, step.sigma_next) <= (1 + ROUNDING) * _noise(segment.alpha_next, segment.sigma_next)
    if following is None or beyond:
        return Passage(_levels(step.t, step.alpha, step.sigma), end, end, torch.tensor(True))
    there = _levels(following.t, step.alpha_next, step.sigma_next)
    return Passage(_levels(step.t, step.alpha, step.sigma), there, end, torch.tensor(False))


def _noise(alpha: float, sigma: float) -> float:
    """Noise over signal, which falls along every schedule."""
    return sigma / alpha if alpha > 0 else math.inf


def _levels(t: float, alpha: float, sigma: float) -> Levels:
    return Levels(*(torch.tensor(value, dtype=torch.float32) for value in (t, alpha, sigma)))


def drawn(paths: Sequence[Passage], random: ClipRandom, device: torch.device) -> Passage:
    """One of the teacher's steps per clip, each equally likely."""
    chosen = [paths[index] for index in random.integers("passage", 0, len(paths)).tolist()]

    def gather(parts: Sequence[Levels]) -> Levels:
        return Levels(*(torch.stack(values).to(device) for values in zip(*parts, strict=True)))

    arrived = torch.stack([each.arrived for each in chosen]).to(device)
    here, there, end = (gather([getattr(each, name) for each in chosen]) for name in ("here", "there", "end"))
    return Passage(here, there, end, arrived)
