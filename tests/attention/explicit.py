"""Attention written out from the equations, one frame and head at a time, in float64: slow, and obviously right.

Also a prior that is a stack of real attention layers, with the same stack computed by these equations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from limpid.diffusion.parametrisations import from_x0
from limpid.types import Prediction, Step, Tile, Window

Heads = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""``(layer, q, k, v)``, each ``t h tokens d`` -> what is found, ``t h tokens d``."""


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, gamma: float | None = None) -> Tensor:
    """DC-VSR Eq. 1, or DC-VSR Eq. 7 with ``gamma``: ``softmax(Q K^T / (max(gamma^2 q k, 1) sqrt(d))) V``."""
    out = q.new_empty(*q.shape[:-1], v.shape[-1])
    for frame in range(len(q)):
        for head in range(q.shape[1]):
            big_q, big_k, big_v = (x[frame, head].double() for x in (q, k, v))
            divisor = 1.0
            if gamma is not None:
                divisor = max(gamma**2 * float(big_q.abs().max()) * float(big_k.abs().max()), 1.0)
            logits = big_q @ big_k.T / (divisor * big_q.shape[-1] ** 0.5)
            weights = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
            out[frame, head] = (weights @ big_v).to(out)
    return out


@dataclass(frozen=True)
class Told:
    """A condition that is one number; told nothing, it is 0."""

    value: float = 0.5

    def crop(self, window: Window, tile: Tile) -> Told:
        return self

    def unconditional(self) -> Told:
        return Told(0.0)


class AttentionStack:
    """Predicts what ``count`` attention layers, each added to its input, make of the tokens of each frame."""

    def __init__(self, count: int = 5, channels: int = 8, heads: int = 2, seed: int = 0, size: float = 1.5) -> None:
        torch.manual_seed(seed)
        layers = [Attention(channels, heads=heads, dim_head=channels // heads).eval() for _ in range(count)]
        for layer in layers:
            for parameter in layer.parameters():
                nn.init.normal_(parameter, std=size / channels**0.5)
            layer.to_out[0].weight.data *= 0.3
        self.layers = layers
        self.calls = 0
        self.fail_at_call: int | None = None

    @property
    def self_attentions(self) -> tuple[tuple[str, nn.Module], ...]:
        middle = len(self.layers) // 2
        return tuple((f"mid.{i}" if i == middle else f"layer.{i}", layer) for i, layer in enumerate(self.layers))

    @torch.no_grad()
    def denoise(self, z: Tensor, step: Step, condition: Told) -> Prediction:
        self.calls += 1
        if self.calls == self.fail_at_call:
            raise RuntimeError("the network failed")
        x = tokens_of(z) / (1 + step.sigma) + condition.value
        for layer in self.layers:
            x = x + layer(F.layer_norm(x, x.shape[-1:]))
        return from_x0(z, maps_of(x, z), step)

    @torch.no_grad()
    def explicit(self, z: Tensor, step: Step, condition: Told, attend: Heads) -> Prediction:
        """The same with ``attend`` in place of the layers' attention."""
        x = tokens_of(z) / (1 + step.sigma) + condition.value
        for index, layer in enumerate(self.layers):
            normed = F.layer_norm(x, x.shape[-1:])
            q, k, v = (self.split(normed @ to.weight.T) for to in (layer.to_q, layer.to_k, layer.to_v))
            mixed = attend(index, q, k, v).transpose(1, 2).flatten(-2)
            x = x + mixed @ layer.to_out[0].weight.T + layer.to_out[0].bias
        return from_x0(z, maps_of(x, z), step)

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.layers[0].heads, -1)).transpose(1, 2)

    def processors(self) -> list[Any]:
        return [layer.processor for layer in self.layers]


def tokens_of(z: Tensor) -> Tensor:
    """``b c t h w`` -> ``(b t) (h w) c``."""
    return z.permute(0, 2, 3, 4, 1).flatten(0, 1).flatten(1, 2)


def maps_of(tokens: Tensor, z: Tensor) -> Tensor:
    b, _, t, h, w = z.shape
    return tokens.reshape(b, t, h, w, -1).permute(0, 4, 1, 2, 3)
