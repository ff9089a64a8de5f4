"""Schedules: which noise levels a run passes through, as tuples of `Step`.

Variance preserving (VP) schedules come from the betas a network was trained with; EDM schedules from two noise levels.
All numbers are computed in float64 without torch, so that a plan can be made and printed without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from limpid.types import Step

Spacing = Literal["leading", "trailing", "linspace"]
BetaSchedule = Literal["linear", "scaled_linear"]
KARRAS_RHO = 7.0
STRENGTH_ROUNDING = 1e-9
"""Allowance for rounding, so that 0.3 of 10 steps is 3 steps although 0.3 * 10 is not exactly 3."""


@dataclass(frozen=True, kw_only=True)
class Betas:
    """Noise that a VP network was trained with; the defaults are those of Stable Diffusion.

    ``scaled_linear`` is linear in the square root of beta (what latent diffusion calls "linear").
    """

    start: float = 0.00085
    end: float = 0.012
    shape: BetaSchedule = "scaled_linear"
    count: int = 1000

    def alphas_cumprod(self) -> np.ndarray:
        """Product of ``1 - beta`` up to each timestep: ``count`` values, falling from just below 1."""
        power = 0.5 if self.shape == "scaled_linear" else 1.0
        betas = np.linspace(self.start**power, self.end**power, self.count) ** (1 / power)
        product: np.ndarray = np.cumprod(1.0 - betas)
        return product


def spaced_timesteps(num_steps: int, count: int, spacing: Spacing, offset: int = 0) -> tuple[int, ...]:
    """Falling timesteps out of ``0 .. count - 1`` (Lin et al. 2024, Table 2; linspace is also DDPM's respacing).

    ``leading`` shifts by ``offset`` and does not reach the noisiest timestep; ``trailing`` starts with it and is the
    better choice for few steps. One step of ``linspace`` is the noisiest timestep.
    """
    if not 1 <= num_steps <= count:
        raise ValueError(f"{num_steps} steps cannot be taken out of {count} timesteps; choose between 1 and {count}")
    if spacing == "leading":
        return tuple(int(i) * (count // num_steps) + offset for i in reversed(range(num_steps)))
    if spacing == "trailing":
        return tuple(round(count - i * count / num_steps) - 1 for i in range(num_steps))
    if num_steps == 1:
        return (count - 1,)
    return tuple(int(t) for t in np.linspace(0, count - 1, num_steps).round()[::-1])


def vp_steps(
    num_steps: int,
    betas: Betas = Betas(),
    *,
    spacing: Spacing = "leading",
    offset: int = 0,
    final_alpha: Literal["one", "first"] = "one",
) -> tuple[Step, ...]:
    """A VP schedule; what a network predicts (eps or v) does not matter here.

    ``final_alpha``: the last step ends in the clean latent (``one``) or at the noise of timestep 0 (``first``, which
    checkpoints of Stable Diffusion with ``set_alpha_to_one=False`` expect).
    """
    timesteps = spaced_timesteps(num_steps, betas.count, spacing, offset)
    return vp_steps_at(timesteps, betas, final_alpha=final_alpha)


def vp_steps_at(
    timesteps: Sequence[int], betas: Betas = Betas(), *, final_alpha: Literal["one", "first"] = "one"
) -> tuple[Step, ...]:
    """A VP schedule through the given falling timesteps; every step ends where the next one begins."""
    if any(late >= early for early, late in pairwise(timesteps)):
        raise ValueError(f"timesteps must fall, got {list(timesteps)}")
    cumulative = betas.alphas_cumprod()
    levels = [float(cumulative[t]) for t in timesteps]
    levels.append(1.0 if final_alpha == "one" else float(cumulative[0]))
    return _chain([float(t) for t in timesteps], [(math.sqrt(a), math.sqrt(1.0 - a)) for a in levels])


def karras_steps(
    num_steps: int, sigma_min: float, sigma_max: float, rho: float = KARRAS_RHO, *, final_sigma: float = 0.0
) -> tuple[Step, ...]:
    """An EDM schedule (Karras et al. 2022, EDM Eq. 5): alpha is 1, the network is told ``t = ln(sigma) / 4``.

    One step goes from ``sigma_max`` straight to ``final_sigma``. SVD uses 0.002 to 700.
    """
    if not (num_steps >= 1 and 0 < sigma_min < sigma_max):
        raise ValueError(f"need steps >= 1 and 0 < sigma_min < sigma_max, got {num_steps}, {sigma_min}, {sigma_max}")
    # sigma_i = (sigma_max^(1/rho) + i / (N - 1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    ramp = np.linspace(0.0, 1.0, num_steps)
    sigmas = [float(s) for s in (high + ramp * (low - high)) ** rho]
    return _chain([edm_time(s) for s in sigmas], [(1.0, s) for s in [*sigmas, final_sigma]])


def edm_time(sigma: float) -> float:
    """The time that a network is told of a noise level: EDM's ``c_noise``, ``ln(sigma) / 4`` (EDM Table 1)."""
    return 0.25 * math.log(sigma)


def truncate(steps: tuple[Step, ...], strength: float) -> tuple[Step, ...]:
    """The last part of a schedule, for a start from the noised input; ``strength`` in (0, 1], 1 changes nothing.

    VP: the last ``ceil(strength * n)`` steps. EDM noise levels are continuous, so the first step kept is shortened to
    begin exactly at ``strength`` of the schedule, measured on Karras's ramp; strength has an effect on one step, too.
    Strength 0 would leave no step and is refused.
    """
    if not 0.0 < strength <= 1.0:
        raise ValueError(f"strength {strength} is out of range; it must be above 0 and at most 1")
    kept = strength * len(steps)
    whole = math.ceil(kept - STRENGTH_ROUNDING)
    tail = steps[len(steps) - whole :]
    if tail[0].alpha == tail[0].alpha_next == 1.0:
        tail = (_shortened(tail[0], whole - kept), *tail[1:])
    return tuple(replace(step, index=i, count=whole) for i, step in enumerate(tail))


def _shortened(step: Step, fraction: float) -> Step:
    """An EDM step without its first ``fraction`` of Karras's ramp."""
    if fraction <= STRENGTH_ROUNDING:
        return step
    high, low = step.sigma ** (1 / KARRAS_RHO), step.sigma_next ** (1 / KARRAS_RHO)
    sigma = (high + fraction * (low - high)) ** KARRAS_RHO
    return replace(step, sigma=sigma, t=edm_time(sigma))


def _chain(times: Sequence[float], levels: Sequence[tuple[float, float]]) -> tuple[Step, ...]:
    pairs = zip(times, pairwise(levels), strict=True)
    steps = tuple(
        Step(index=i, count=len(times), t=t, alpha=a, sigma=s, alpha_next=a_next, sigma_next=s_next)
        for i, (t, ((a, s), (a_next, s_next))) in enumerate(pairs)
    )
    return tuple(replace(step, noise_range=(steps[0].noise, steps[-1].noise)) for step in steps)
