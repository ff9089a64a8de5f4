"""New networks as training begins with them: drawn by the run's seed, some so that they change nothing yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

_Network = TypeVar("_Network", bound=nn.Module)


def seeded(make: Callable[[], _Network], seed: int) -> _Network:
    """What ``make`` makes, its weights drawn by ``seed``; the process's own random numbers go on as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def silenced(layer: nn.Conv2d) -> None:
    """Sets a network's last layer to zero, so that the residual that it makes is zero."""
    for values in layer.parameters():
        nn.init.zeros_(values)
