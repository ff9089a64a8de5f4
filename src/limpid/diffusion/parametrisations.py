"""Parametrisations: a `Prediction` from what a network puts out, be it eps, v, x0 or EDM's F; tensors ``b c t h w``."""

from __future__ import annotations

import math

from torch import Tensor

from limpid.types import Prediction, Step


def from_eps(z: Tensor, out: Tensor, step: Step) -> Prediction:
    """The prediction of a network that predicts the noise (Ho et al. 2020)."""
    return Prediction(x0=(z - step.sigma * out) / step.alpha, eps=out)


def from_x0(z: Tensor, out: Tensor, step: Step) -> Prediction:
    """The prediction of a network that predicts the clean latent."""
    return Prediction(x0=out, eps=(z - step.alpha * out) / step.sigma)


def from_v(z: Tensor, out: Tensor, step: Step) -> Prediction:
    """The prediction of a network that predicts ``v = alpha eps - sigma x0`` (Salimans and Ho 2022).

    Noise levels off the unit circle are brought there first, with ``z``. For EDM's (alpha = 1) that is the
    preconditioning of SVD, DC-VSR Eq. 12 with ``sigma_data = 1``: c_skip is ``1 / (1 + sigma^2)``, c_out is
    ``-sigma / sqrt(1 + sigma^2)``.
    """
    radius = math.hypot(step.alpha, step.sigma)
    alpha, sigma = step.alpha / radius, step.sigma / radius
    unit = z / radius
    return Prediction(x0=alpha * unit - sigma * out, eps=sigma * unit + alpha * out)
