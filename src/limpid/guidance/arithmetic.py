"""Arithmetic of guidance: a prediction moved away from a weaker one."""

from __future__ import annotations

from limpid.types import Prediction


def extrapolated(weak: Prediction, strong: Prediction, scale: float) -> Prediction:
    """A guided prediction, ``weak + w (strong - weak)`` for x0 and eps; w = 1 is the strong one (DC-VSR Eq. 4)."""
    x0 = weak.x0 + scale * (strong.x0 - weak.x0)
    return Prediction(x0=x0, eps=weak.eps + scale * (strong.eps - weak.eps))


def added(base: Prediction, weak: Prediction, strong: Prediction, scale: float) -> Prediction:
    """A second guidance on top of a first one: ``base + s (strong - weak)``, for x0 and eps alike."""
    x0 = base.x0 + scale * (strong.x0 - weak.x0)
    return Prediction(x0=x0, eps=base.eps + scale * (strong.eps - weak.eps))
