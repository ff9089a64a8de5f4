"""The technical half of DOVER: Video Swin (Liu et al. 2022) with two position biases, within and between fragments.

It sees small pieces of full frames side by side, so neighbouring tokens may come from places far apart; a gate chooses
the bias by how many fragments lie between two tokens. Tokens are ``b d h w c``. Written from facts about the network;
released weights fit after renaming (`limpid.networks.dover.dover`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import Parameter

from limpid.networks.dover.windows import (
    SWIN_WINDOW,
    Size,
    Windows,
    fragment_gate,
    join_windows,
    pair_index,
    place_windows,
    region_mask,
    split_windows,
)

_PATCH: Size = (2, 4, 4)
_TABLE_ROWS = (2 * SWIN_WINDOW[0] - 1) * (2 * SWIN_WINDOW[1] - 1) * (2 * SWIN_WINDOW[2] - 1)
_MOST_SCORES = 64 * 1024**2
"""Attention scores at once, in numbers: so many windows go together."""


class WindowAttention(nn.Module):
    """Attention within windows, with a bias for each pair of tokens and head."""

    def __init__(self, channels: int, heads: int, *, fragments: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.near = Parameter(torch.zeros(_TABLE_ROWS, heads))
        """Bias of tokens that lie beside each other in the frame."""
        self.within = Parameter(torch.zeros(_TABLE_ROWS, heads)) if fragments else None
        """Bias of tokens of one fragment; None: there is one bias for all."""

    def forward(self, x: Tensor, place: Windows) -> Tensor:
        """Windows of tokens ``(b n) tokens c``, as `split_windows` gives them, with their ``place``."""
        windows, tokens, channels = x.shape
        q, k, v = self.qkv(x).reshape(windows, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        near, within = (self._looked_up(table, tokens) for table in (self.near, self.within))
        gate, mask = fragment_gate(place).to(x), region_mask(place)
        kinds, parts = len(gate), []
        for some in torch.split(torch.arange(windows), max(1, _MOST_SCORES // (self.heads * tokens**2))):
            bias = _bias(near, within, gate[some % kinds])
            if mask is not None:
                bias = bias + mask.to(x)[some % kinds][:, None]
            parts.append(F.scaled_dot_product_attention(q[some], k[some], v[some], attn_mask=bias))
        found: Tensor = self.out(torch.cat(parts).transpose(1, 2).reshape(windows, tokens, channels))
        return found

    def _looked_up(self, table: Tensor | None, tokens: int) -> Tensor | None:
        """Biases of pairs, ``heads tokens tokens``."""
        return None if table is None else table[pair_index(tokens).to(table.device)].permute(2, 0, 1)


def _bias(near: Tensor | None, within: Tensor | None, gate: Tensor) -> Tensor:
    """``near g + within (1 - g)``, ``n heads tokens tokens``; g is a number of fragments, so far pairs extrapolate."""
    assert near is not None
    if within is None:
        return near.expand(len(gate), *near.shape)
    return within + gate[:, None] * (near - within)


class SwinBlock(nn.Module):
    """Attention within windows, then two layers on each token; both are added to what came in."""

    def __init__(self, channels: int, heads: int, *, shifted: bool, fragments: bool) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads, fragments=fragments)
        self.expand = nn.Linear(channels, 4 * channels)
        self.reduce = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        d, h, w = x.shape[1:4]
        place = place_windows((d, h, w), shifted=self.shifted)
        inner = self.attention(split_windows(self.norm1(x), place), place)
        x = x + join_windows(inner, place, (d, h, w))
        found: Tensor = x + self.reduce(F.gelu(self.expand(self.norm2(x))))
        return found


class PatchMerging(nn.Module):
    """Two by two tokens become one of twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, [0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2])
        four = [x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        found: Tensor = self.reduction(self.norm(torch.cat(four, -1)))
        return found


class SwinStage(nn.Module):
    """Blocks, every second one with shifted windows, and the way to the next stage."""

    def __init__(self, channels: int, depth: int, heads: int, *, last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(channels, heads, shifted=number % 2 == 1, fragments=not last) for number in range(depth)
        )
        self.merging = None if last else PatchMerging(channels)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.merging is None else torch.as_tensor(self.merging(x))


class TechnicalBackbone(nn.Module):
    """Features of frames made of fragments: ``b 3 t h w``, in ImageNet's colours -> ``b c t/2 h/32 w/32``.

    The last stage has no fragments any more: each of its tokens is one.
    """

    def __init__(
        self, width: int = 96, depths: tuple[int, ...] = (2, 2, 6, 2), heads: tuple[int, ...] = (3, 6, 12, 24)
    ) -> None:
        super().__init__()
        self.patches = nn.Conv3d(3, width, _PATCH, stride=_PATCH)
        self.patches_norm = nn.LayerNorm(width)
        last = len(depths) - 1
        self.stages = nn.ModuleList(
            SwinStage(width * 2**n, depth, count, last=n == last)
            for n, (depth, count) in enumerate(zip(depths, heads, strict=True))
        )
        self.norm = nn.LayerNorm(width * 2**last)

    def forward(self, x: Tensor) -> Tensor:
        ends = [side for size, patch in zip(x.shape[:1:-1], _PATCH[::-1], strict=True) for side in (0, -size % patch)]
        x = self.patches_norm(self.patches(F.pad(x, ends)).movedim(1, -1))
        for stage in self.stages:
            x = stage(x)
        found: Tensor = self.norm(x).movedim(-1, 1)
        return found
