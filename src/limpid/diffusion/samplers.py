"""Samplers: one update of the latent each, pure functions and frozen values of hyper-parameters.

All are written as ``z' = a x0 + b eps (+ noise)``, so that a strategy may change ``x0`` while ``eps`` stays that of the
unchanged prediction. They hold for any (alpha, sigma): variance preserving and EDM alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from limpid.method import Sampler
from limpid.types import Step

FEW_STEPS = 15
"""Number of steps below which DPM-Solver++ takes a first-order last step, as in the reference solver."""


def posterior_variance(step: Step) -> float:
    """Variance of ``q(z_next | z, x0)``, any alpha, sigma (Ho et al. 2020, DDPM Eq. 7); 0 where a step ends clean."""
    if step.sigma_next == 0.0:
        return 0.0
    ratio = (step.sigma_next / step.alpha_next) / (step.sigma / step.alpha)
    return max(0.0, step.sigma_next**2 * (1.0 - ratio**2))


def clean_end(x0: Tensor, step: Step) -> Tensor:
    """The end of a step that leaves no noise, in which eps has no part: ``alpha x0``, or just ``x0`` if alpha is 1."""
    return x0 if step.alpha_next == 1.0 else step.alpha_next * x0


def ddim_update(x0: Tensor, eps: Tensor, step: Step, eta: float, draw: Callable[[], Tensor]) -> Tensor:
    """One update of DDIM (Song et al. 2021, DDIM Eq. 12).

    ``eta = 1`` is DDPM's posterior, ``eta = 0`` the deterministic update.
    """
    if step.sigma_next == 0.0:
        return clean_end(x0, step)
    # sigma_t^2 of the paper, and the share of the noise that still points to z_t
    variance = eta**2 * posterior_variance(step)
    direction = math.sqrt(max(0.0, step.sigma_next**2 - variance))
    z = step.alpha_next * x0 + direction * eps
    return z if variance == 0.0 else z + math.sqrt(variance) * draw()


@dataclass(frozen=True, kw_only=True)
class DDIM:
    """DDIM: deterministic for ``eta = 0``; noise is added in proportion to ``eta``."""

    eta: float = 0.0

    def step(
        self, z: Tensor, x0: Tensor, eps: Tensor, step: Step, state: Any, draw: Callable[[], Tensor]
    ) -> tuple[Tensor, None]:
        return ddim_update(x0, eps, step, self.eta, draw), None


@dataclass(frozen=True, kw_only=True)
class DDPM:
    """Ancestral sampling with the posterior's variance (Ho et al. 2020, DDPM Algorithm 2), on any respaced schedule.

    The posterior's mean in terms of x0 and eps is DDIM's with ``eta = 1``, which is how it is computed.
    """

    def step(
        self, z: Tensor, x0: Tensor, eps: Tensor, step: Step, state: Any, draw: Callable[[], Tensor]
    ) -> tuple[Tensor, None]:
        return ddim_update(x0, eps, step, 1.0, draw), None


@dataclass(frozen=True, kw_only=True)
class Euler:
    """Euler's method on the probability flow (Karras et al. 2022, EDM Algorithm 1).

    ``z + (sigma' - sigma) eps`` with ``z = x0 + sigma eps`` is ``x0 + sigma' eps``: the deterministic update again.
    """

    def step(
        self, z: Tensor, x0: Tensor, eps: Tensor, step: Step, state: Any, draw: Callable[[], Tensor]
    ) -> tuple[Tensor, None]:
        return ddim_update(x0, eps, step, 0.0, draw), None


class SolverHistory(NamedTuple):
    """State of DPM-Solver++, kept from the step before: the x0 that it was given, and log(alpha / sigma) there."""

    x0: Tensor
    log_snr: float


def dpmpp_2m_update(z: Tensor, x0: Tensor, step: Step, history: SolverHistory | None) -> Tensor:
    """One update of DPM-Solver++(2M), midpoint (Lu et al. 2022, DPM-Solver++ Algorithm 2).

    It is first order without ``history``, and takes ``x0`` itself at sigma 0.
    """
    if step.sigma_next == 0.0:
        return clean_end(x0, step)
    # lambda = log(alpha / sigma), and h = lambda_i - lambda_{i-1}
    log_snr = math.log(step.alpha / step.sigma)
    h = math.log(step.alpha_next / step.sigma_next) - log_snr
    if history is not None:
        # D_i = (1 + 1 / 2r) x_i - 1 / 2r x_{i-1}, where r is the length of the step before in units of this one
        r = (log_snr - history.log_snr) / h
        x0 = x0 + (x0 - history.x0) / (2.0 * r)
    return (step.sigma_next / step.sigma) * z - step.alpha_next * math.expm1(-h) * x0


@dataclass(frozen=True, kw_only=True)
class DPMSolverPP2M:
    """DPM-Solver++(2M): second order, deterministic, uses x0 only; good at 10 to 25 steps."""

    lower_order_final: bool = True

    def step(
        self, z: Tensor, x0: Tensor, eps: Tensor, step: Step, state: Any, draw: Callable[[], Tensor]
    ) -> tuple[Tensor, SolverHistory]:
        first_order = self.lower_order_final and step.is_last and step.count < FEW_STEPS
        z_next = dpmpp_2m_update(z, x0, step, None if first_order else state)
        return z_next, SolverHistory(x0, math.log(step.alpha / step.sigma))


SAMPLERS: dict[str, Sampler] = {"ddpm": DDPM(), "ddim": DDIM(), "dpm++": DPMSolverPP2M()}
"""The samplers that a user can choose between, by their names, where a method leaves the choice."""
