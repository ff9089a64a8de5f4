"""Classifier-free guidance (Ho and Salimans 2022)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from limpid.guidance.arithmetic import extrapolated
from limpid.method import Denoise, Prior
from limpid.types import Prediction, Step


class Conditional(Protocol):
    """A condition that knows what the network is told instead when it should not follow the prompt."""

    def unconditional(self) -> Self:
        """The condition of the same frames with the negative prompt."""
        ...

    def both(self) -> Self:
        """A batch of two: the negative prompt first, then the prompt."""
        ...


@dataclass(frozen=True, kw_only=True)
class ClassifierFree:
    """Classifier-free guidance, ``negative + w (positive - negative)``, w being ``1 + s`` of DC-VSR Eq. 3.

    A ``scale`` w of 1 is the plain prediction and costs one call.

    Both calls may go through the network as one batch, which is faster on accelerators and needs twice the memory.
    The combination is linear, so it does not matter whether windows are merged before or after it.
    """

    scale: float
    batched: bool = False

    @property
    def calls(self) -> int:
        return 2

    @property
    def changes_attention(self) -> bool:
        return False

    def in_one_batch(self) -> Self:
        return replace(self, batched=True)

    def predict(self, prior: Prior, denoise: Denoise, z: Tensor, step: Step, condition: Conditional) -> Prediction:
        if self.scale == 1.0:
            return denoise(z, condition, "main")
        # eps(x_t) is told the negative prompt, eps(x_t, c) the prompt
        if self.batched:
            two = denoise(torch.cat([z, z]), condition.both(), "both")
            negative, positive = Prediction(two.x0[:1], two.eps[:1]), Prediction(two.x0[1:], two.eps[1:])
        else:
            negative, positive = denoise(z, condition.unconditional(), "negative"), denoise(z, condition, "main")
        return extrapolated(negative, positive, self.scale)
