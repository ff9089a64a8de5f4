"""Diffusion losses against values worked out by hand, and against our parametrisations."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from limpid.diffusion.parametrisations import from_eps, from_v
from limpid.train.losses import diffusion as d
from limpid.types import Step


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


ALPHA = torch.tensor([0.8, 0.6])
SIGMA = torch.tensor([0.6, 0.8])
X0, EPS = normal(2, 4, 3, 5, 5), normal(2, 4, 3, 5, 5, seed=1)


def step(clip: int) -> Step:
    alpha, sigma = float(ALPHA[clip]), float(SIGMA[clip])
    return Step(index=0, count=1, t=0.0, alpha=alpha, sigma=sigma, alpha_next=1.0, sigma_next=0.0)


def test_targets_are_what_the_parametrisations_turn_back() -> None:
    z, v = d.noised(X0, EPS, ALPHA, SIGMA), d.v_target(X0, EPS, ALPHA, SIGMA)
    for clip in range(2):
        for prediction in (from_v(z[clip], v[clip], step(clip)), from_eps(z[clip], EPS[clip], step(clip))):
            assert torch.allclose(prediction.x0, X0[clip], atol=1e-5)
            assert torch.allclose(prediction.eps, EPS[clip], atol=1e-5)


def test_squared_errors_by_hand() -> None:
    offset = torch.tensor([0.5, -2.0]).reshape(2, 1, 1, 1, 1)
    expected = torch.tensor([0.25, 4.0])
    assert torch.allclose(d.v_loss(d.v_target(X0, EPS, ALPHA, SIGMA) + offset, X0, EPS, ALPHA, SIGMA), expected)
    assert torch.allclose(d.eps_loss(EPS + offset, EPS), expected)


def test_edm_gives_the_network_an_error_of_weight_one() -> None:
    sigma = torch.tensor([0.02, 3.0])
    out = normal(2, 4, 3, 5, 5, seed=2)
    target, denoised = [], []
    for clip, level in enumerate(sigma.tolist()):
        total = level**2 + 0.25  # x0 = skip z + scale F, Karras et al. 2022, Table 1
        skip, scale = 0.25 / total, 0.5 * level / math.sqrt(total)
        z = X0[clip] + level * EPS[clip]
        target.append((X0[clip] - skip * z) / scale)
        denoised.append(skip * z + scale * out[clip])
    expected = (out - torch.stack(target)).square().flatten(1).mean(1)
    assert torch.allclose(d.edm_loss(torch.stack(denoised), X0, sigma), expected, rtol=1e-3)


def test_edm_levels() -> None:
    levels = d.edm_sigmas(torch.tensor([0.0, 1.0]), -1.2, 1.2)
    assert levels.tolist() == pytest.approx([math.exp(-1.2), 1.0])
