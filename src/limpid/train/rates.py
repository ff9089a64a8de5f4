"""The course of the learning rate, and optimizers from plain values."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from limpid.train.stage import Optimizer


def rate_at(optimizer: Optimizer, step: int, steps: int) -> float:
    """Rate of step ``step`` (from 0) of ``steps``: a straight warm-up times a constant or a half cosine."""
    warm = min(1.0, (step + 1) / optimizer.warmup_steps) if optimizer.warmup_steps else 1.0
    if optimizer.course == "constant":
        return optimizer.rate * warm
    fall = 0.5 * (1 + math.cos(math.pi * step / steps))
    return optimizer.rate * warm * (optimizer.final_fraction + (1 - optimizer.final_fraction) * fall)


def make_optimizer(values: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam or AdamW with these values; the rate is set before each step."""
    kind: type[torch.optim.Adam] | type[torch.optim.AdamW]
    kind = torch.optim.AdamW if values.kind == "adamw" else torch.optim.Adam
    return kind(list(parameters), lr=values.rate, betas=values.betas, weight_decay=values.weight_decay)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
