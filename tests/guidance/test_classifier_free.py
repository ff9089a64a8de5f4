from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from limpid.diffusion.schedules import vp_steps
from limpid.guidance.classifier_free import ClassifierFree
from limpid.types import Prediction

STEP = vp_steps(4)[1]


@dataclass(frozen=True)
class Told:
    """A condition that is a number per batch item."""

    values: tuple[float, ...]

    def unconditional(self) -> Told:
        return Told((-1.0,))

    def both(self) -> Told:
        return Told((-1.0, *self.values))


class Denoiser:
    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def __call__(self, z: Tensor, condition: Told, branch: str) -> Prediction:
        self.calls.append((branch, len(z)))
        told = torch.tensor(condition.values).reshape(-1, 1, 1, 1, 1)
        return Prediction(x0=z * told, eps=z + told)


@pytest.fixture
def z() -> Tensor:
    return torch.randn(1, 4, 3, 5, 6, generator=torch.Generator().manual_seed(0))


def predict(guidance: ClassifierFree, z: Tensor, denoiser: Denoiser) -> Prediction:
    prior: Any = None
    return guidance.predict(prior, denoiser, z, STEP, Told((2.0,)))


def test_the_formula(z: Tensor) -> None:
    out = predict(ClassifierFree(scale=6.0), z, Denoiser())
    torch.testing.assert_close(out.x0, -z + 6 * (2 * z - -z))
    torch.testing.assert_close(out.eps, (z - 1) + 6 * ((z + 2) - (z - 1)))


def test_one_batch_and_two_halves_agree(z: Tensor) -> None:
    halves, batch = Denoiser(), Denoiser()
    one = predict(ClassifierFree(scale=5.0), z, halves)
    guidance = ClassifierFree(scale=5.0)
    assert guidance.calls == 2 and not guidance.changes_attention
    assert guidance.in_one_batch() == ClassifierFree(scale=5.0, batched=True)
    other = predict(guidance.in_one_batch(), z, batch)
    torch.testing.assert_close(one, other)
    assert halves.calls == [("negative", 1), ("main", 1)]
    assert batch.calls == [("both", 2)]


@pytest.mark.parametrize("batched", [False, True])
def test_scale_one_is_the_plain_prediction(z: Tensor, batched: bool) -> None:
    denoiser = Denoiser()
    out = predict(ClassifierFree(scale=1.0, batched=batched), z, denoiser)
    assert denoiser.calls == [("main", 1)]
    assert torch.equal(out.x0, 2 * z)
