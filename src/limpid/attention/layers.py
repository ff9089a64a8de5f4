"""Self-attention layers of a prior: which there are, how large they are, where their tokens lie in the picture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from limpid.types import SettingsError

NamedLayer = tuple[str, nn.Module]
MAX_HALVINGS = 6


def self_attentions(prior: Any) -> tuple[NamedLayer, ...]:
    """The prior's ``self_attentions``: layers of self-attention in space, which `limpid.attention.patching` can change.

    They stand from the input of the network to its output; their tokens are ``(b t) (h w) c``. Raises SettingsError
    when the prior has none to offer.
    """
    layers: tuple[NamedLayer, ...] = getattr(prior, "self_attentions", ())
    if not layers:
        raise SettingsError(f"{type(prior).__name__} has no self-attention that could be changed; choose guidance cfg")
    return layers


def outer_layers(prior: Any, first: int, last: int) -> tuple[NamedLayer, ...]:
    """The ``first`` self-attentions and the ``last`` ones, each once: 2 and 2 in DC-VSR sections 3.1 to 3.3."""
    layers = self_attentions(prior)
    return tuple(layer for i, layer in enumerate(layers) if i < first or i >= len(layers) - last)


def middle_layer(prior: Any) -> NamedLayer:
    """The self-attention of the middle block, where pictures are smallest; that in the middle if no name says so."""
    layers = self_attentions(prior)
    named = [layer for layer in layers if "mid" in layer[0]]
    return named[0] if named else layers[len(layers) // 2]


def token_grid(tokens: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of a layer with so many tokens, in a network on ``height`` x ``width``.

    U-Nets halve both, and round up, from level to level. Raises ValueError when no level has that many.
    """
    for _ in range(MAX_HALVINGS + 1):
        if height * width == tokens:
            return height, width
        height, width = -(-height // 2), -(-width // 2)
    raise ValueError(f"no level of the network has {tokens} tokens")


def sampled_positions(count: int, rate: float) -> list[int]:
    """Positions along one edge when a share of ``rate`` of a picture is kept: evenly spaced, at least one.

    Each of ``n = round(count sqrt(rate))`` equal parts of the edge gives its middle, so rows and columns are alike.
    """
    kept = min(count, max(1, round(count * rate**0.5)))
    return [int((i + 0.5) * count / kept) for i in range(kept)]


def subsample(x: Tensor, size: tuple[int, int], rate: float) -> Tensor:
    """A share ``rate`` (s_SAP) of the tokens, on a regular grid: ``n h (rows columns) d`` -> ``n h m d``, a copy."""
    rows, columns = (torch.tensor(sampled_positions(edge, rate), device=x.device) for edge in size)
    chosen = (rows[:, None] * size[1] + columns).flatten()
    return x.index_select(-2, chosen)
