"""Diffusion losses against values worked out by hand, and against our parametrisations."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from limpid.diffusion.parametrisations import edm_scalings, from_eps, from_v
from limpid.diffusion.schedules import Betas
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
    weights = torch.tensor([3.0, 5.0])
    assert torch.allclose(d.eps_loss(EPS + offset, EPS, weights, 0.1), expected * (1 + 0.1 * weights))
    with pytest.raises(ValueError, match="needs its weights"):
        d.eps_loss(EPS, EPS, None, 0.1)


def test_weights_of_the_bound_are_those_of_the_posterior() -> None:
    product = Betas(start=0.01, end=0.2, count=6).alphas_cumprod()
    found = d.vlb_weights(torch.tensor(product))
    for t in range(1, 6):
        alpha = product[t] / product[t - 1]
        beta = 1 - alpha
        posterior = beta * (1 - product[t - 1]) / (1 - product[t])
        assert float(found[t]) == pytest.approx(beta**2 / (2 * posterior * alpha * (1 - product[t])))
    assert found[0] == found[1]


def test_edm_gives_the_network_an_error_of_weight_one() -> None:
    sigma = torch.tensor([0.02, 3.0])
    out = normal(2, 4, 3, 5, 5, seed=2)
    target, denoised = [], []
    for clip, level in enumerate(sigma.tolist()):
        s = edm_scalings(level, 0.5)
        z = X0[clip] + level * EPS[clip]
        target.append((X0[clip] - s.skip * z) / s.out)
        denoised.append(s.skip * z + s.out * out[clip])
    expected = (out - torch.stack(target)).square().flatten(1).mean(1)
    assert torch.allclose(d.edm_loss(torch.stack(denoised), X0, sigma), expected, rtol=1e-3)


def test_edm_levels() -> None:
    levels = d.edm_sigmas(torch.tensor([0.0, 1.0]), -1.2, 1.2)
    assert levels.tolist() == pytest.approx([math.exp(-1.2), 1.0])
