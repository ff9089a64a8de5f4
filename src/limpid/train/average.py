"""Exponential moving average of the weights that learn, in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


def decay_at(decay: float, step: int) -> float:
    """Decay after ``step`` steps (from 1): short averages at first, so that the start is forgotten."""
    return min(decay, (1 + step) / (10 + step))


class Average:
    """``a <- d a + (1 - d) w`` after each step, d from `decay_at`.

    Args:
        parameters: those that learn, by name; the average begins as their copy.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.values: dict[str, Tensor] = {name: p.detach().float().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """``step``: how many steps the weights have seen, this one included."""
        weight = 1 - decay_at(self.decay, step)
        for name, parameter in self.parameters.items():
            self.values[name].lerp_(parameter.detach().float(), weight)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """The network has the averaged weights for as long as the block runs."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self.parameters.items():
            kept = parameter.detach().clone()
            parameter.copy_(self.values[name])
            self.values[name] = kept.float()
