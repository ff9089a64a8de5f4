"""From what a network puts out to `Prediction`: eps, v, x0 and EDM, each a few lines; all tensors ``b c t h w``."""

from __future__ import annotations

import math

from torch import Tensor

from limpid.types import Prediction, Step


def from_eps(z: Tensor, out: Tensor, step: Step) -> Prediction:
    """The network predicts the noise (Ho et al. 2020)."""
    return Prediction(x0=(z - step.sigma * out) / step.alpha, eps=out)


def from_x0(z: Tensor, out: Tensor, step: Step) -> Prediction:
    """The network predicts the clean latent."""
    return Prediction(x0=out, eps=(z - step.alpha * out) / step.sigma)


def from_v(z: Tensor, out: Tensor, step: Step) -> Prediction:
    """The network predicts ``v = alpha eps - sigma x0`` on the unit circle (Salimans and Ho 2022).

    For EDM levels (alpha = 1) ``z`` and the levels are divided by ``sqrt(1 + sigma^2)`` first, as in SVD.
    """
    radius = math.hypot(step.alpha, step.sigma)
    alpha, sigma = step.alpha / radius, step.sigma / radius
    unit = z / radius
    return Prediction(x0=alpha * unit - sigma * out, eps=sigma * unit + alpha * out)
