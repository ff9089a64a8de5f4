"""What guidance does with predictions: moves away from a weaker one."""

from __future__ import annotations

from limpid.types import Prediction


def extrapolated(weak: Prediction, strong: Prediction, scale: float) -> Prediction:
    """``weak + w (strong - weak)``, for both parts of the prediction; w of 1 is the strong one (DC-VSR Eq. 3, 4)."""
    x0 = weak.x0 + scale * (strong.x0 - weak.x0)
    return Prediction(x0=x0, eps=weak.eps + scale * (strong.eps - weak.eps))


def added(base: Prediction, weak: Prediction, strong: Prediction, scale: float) -> Prediction:
    """``base + s (strong - weak)``: a second guidance on top of a first one."""
    x0 = base.x0 + scale * (strong.x0 - weak.x0)
    return Prediction(x0=x0, eps=base.eps + scale * (strong.eps - weak.eps))
