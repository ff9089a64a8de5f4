"""DDPM respaced to 50 steps, as MGLD-VSR samples, against the numbers of its released code.

Its buffers are float32 at every stage, and differences of nearly equal numbers (betas, variances near the end) keep
few digits there. So levels are compared directly; what is derived from them is compared as our numbers come out when
they are rounded the same way, and unrounded within what that rounding can do.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from limpid.diffusion.samplers import DDPM, posterior_variance
from limpid.diffusion.schedules import Betas, spaced_timesteps, vp_steps
from limpid.types import Step

ROUNDING = 3e-5
STEPS = vp_steps(50, Betas(), spacing="linspace")[::-1]


@pytest.fixture(scope="module")
def buffers() -> dict[str, np.ndarray]:
    path = Path(__file__).resolve().parents[2].parent / "shared" / "golden" / "mgld_schedule.cases.safetensors"
    if not path.exists():
        pytest.skip("the golden tensors are not here")
    return {k.removeprefix("steps50/"): v.double().numpy() for k, v in load_file(path).items() if "steps50/" in k}


def sampler_coefficient(step: Step, x0: float, z: float) -> float:
    """What `DDPM` makes of constants without noise: the posterior's mean."""
    one = torch.ones(1, 1, 1, 1, 1, dtype=torch.float64)
    eps = one * (z - step.alpha * x0) / step.sigma
    return float(DDPM().step(one * z, one * x0, eps, step, None, lambda: one * 0)[0])


def ours() -> dict[str, Any]:
    return {
        "betas": [1 - (s.alpha / s.alpha_next) ** 2 for s in STEPS],
        "posterior_variance": [posterior_variance(s) for s in STEPS],
        "posterior_log_variance_clipped": [math.log(max(posterior_variance(s), 1e-20)) for s in STEPS],
        "posterior_mean_coef1": [sampler_coefficient(s, 1, 0) for s in STEPS],
        "posterior_mean_coef2": [sampler_coefficient(s, 0, 1) for s in STEPS],
    }


def rounded() -> dict[str, np.ndarray]:
    """The same from our levels and timesteps, every stage in float32."""
    full, one = Betas().alphas_cumprod().astype(np.float32), np.float32(1)
    kept = full[list(spaced_timesteps(50, 1000, "linspace"))[::-1]]
    betas = one - kept / np.append(one, kept[:-1])
    product = np.cumprod(one - betas)
    before = np.append(one, product[:-1])
    variance = betas * (one - before) / (one - product)
    return {
        "alphas_cumprod": product,
        "betas": betas,
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.maximum(variance, np.float32(1e-20))),
        "posterior_mean_coef1": betas * np.sqrt(before) / (one - product),
        "posterior_mean_coef2": (one - before) * np.sqrt(one - betas) / (one - product),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(one / product - one),
    }


def test_timesteps_and_levels(buffers: dict[str, np.ndarray]) -> None:
    assert [int(s.t) for s in STEPS] == buffers["timesteps"].tolist()
    found = {
        "alphas_cumprod": [s.alpha**2 for s in STEPS],
        "alphas_cumprod_prev": [s.alpha_next**2 for s in STEPS],
        "alphas_cumprod_full": Betas().alphas_cumprod(),
        "sqrt_recip_alphas_cumprod": [1 / s.alpha for s in STEPS],
        "sqrt_alphas_cumprod_999": STEPS[-1].alpha,
        "sqrt_one_minus_alphas_cumprod_999": STEPS[-1].sigma,
    }
    for name, value in found.items():
        np.testing.assert_allclose(value, buffers[name], rtol=1e-6, err_msg=name)


def test_what_follows_from_the_levels(buffers: dict[str, np.ndarray]) -> None:
    for name, value in rounded().items():
        np.testing.assert_allclose(value, buffers[name], rtol=1e-6, err_msg=name)
    for name, value in ours().items():
        np.testing.assert_allclose(value, buffers[name], rtol=ROUNDING, atol=1e-12, err_msg=name)
