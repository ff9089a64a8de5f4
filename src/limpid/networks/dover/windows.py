"""Windows of Video Swin (Liu et al. 2022) over a grid of tokens, and the gate between DOVER's two position biases.

Tokens are ``b d h w c``; a window's tokens are in order time, row, column. All sizes are (time, rows, columns).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int, int]
SWIN_WINDOW: Size = (8, 7, 7)
OTHER_REGION = -100.0
"""Added to the attention between tokens that lie side by side only because the grid was rolled."""


class Windows(NamedTuple):
    """Where windows lie: their size, the shift of the grid, and the grid with its padding."""

    window: Size
    shift: Size
    padded: Size

    @property
    def tokens(self) -> int:
        """Tokens of one window."""
        return self.window[0] * self.window[1] * self.window[2]


def place_windows(grid: Size, *, shifted: bool, window: Size = SWIN_WINDOW) -> Windows:
    """Windows for a grid: along an axis that is no longer than a window, there is one without a shift."""
    sizes, shifts = [], []
    for length, full in zip(grid, window, strict=True):
        sizes.append(min(length, full))
        shifts.append(full // 2 if shifted and length > full else 0)
    padded = [length + -length % size for length, size in zip(grid, sizes, strict=True)]
    return Windows(_size(sizes), _size(shifts), _size(padded))


def _size(values: list[int]) -> Size:
    time, rows, columns = values
    return time, rows, columns


def split_windows(x: Tensor, place: Windows) -> Tensor:
    """The windows of a rolled, padded grid: ``b d h w c`` -> ``(b n) tokens c``."""
    d, h, w = x.shape[1:4]
    pads = [0, 0, 0, place.padded[2] - w, 0, place.padded[1] - h, 0, place.padded[0] - d]
    x = F.pad(x, pads)
    x = torch.roll(x, [-shift for shift in place.shift], (1, 2, 3))
    return _split(x, place)


def join_windows(x: Tensor, place: Windows, grid: Size) -> Tensor:
    """The grid again, without padding: ``(b n) tokens c`` -> ``b d h w c``."""
    (wd, wh, ww), (d, h, w) = place.window, place.padded
    x = x.reshape(-1, d // wd, h // wh, w // ww, wd, wh, ww, x.shape[-1])
    x = x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, d, h, w, x.shape[-1])
    x = torch.roll(x, list(place.shift), (1, 2, 3))
    return x[:, : grid[0], : grid[1], : grid[2]]


def _split(x: Tensor, place: Windows) -> Tensor:
    (wd, wh, ww), (b, d, h, w, c) = place.window, x.shape
    x = x.reshape(b, d // wd, wd, h // wh, wh, w // ww, ww, c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, place.tokens, c)


def region_mask(place: Windows) -> Tensor | None:
    """What is added to attention, ``n tokens tokens``: 0 between neighbours, -100 across the seam of a rolled grid."""
    if not any(place.shift):
        return None
    axes = [_regions(*sizes) for sizes in zip(place.padded, place.window, place.shift, strict=True)]
    labels = 9 * axes[0][:, None, None] + 3 * axes[1][:, None] + axes[2]
    flat = _split(labels[None, ..., None].float(), place)[..., 0]
    return OTHER_REGION * (flat[:, None] != flat[:, :, None])


def _regions(length: int, window: int, shift: int) -> Tensor:
    """The stretches of an axis that were neighbours before it was rolled."""
    labels = torch.zeros(length, dtype=torch.long)
    if shift:
        labels[length - window :] = 1
        labels[length - shift :] = 2
    return labels


def fragment_gate(place: Windows) -> Tensor:
    """How many fragments lie between the tokens of a pair, ``n tokens tokens``, a whole number as float.

    The grid is thought of as as many fragments along an axis as a window has tokens there, rows plus columns counted.
    """
    d, h, w = place.padded
    rows, columns = (torch.arange(n) * k // n for n, k in ((h, place.window[1]), (w, place.window[2])))
    both = torch.stack([rows[:, None].expand(h, w), columns.expand(h, w)], -1).expand(1, d, h, w, 2)
    places = _split(torch.roll(both, [-shift for shift in place.shift], (1, 2, 3)), place)
    return (places[:, :, None] - places[:, None]).abs().sum(-1).float()


def pair_index(tokens: int, window: Size = SWIN_WINDOW) -> Tensor:
    """The row of a table of position biases for each pair of tokens, ``tokens tokens``.

    A window with fewer tokens than ``window`` has takes those of the first tokens of a full one, as the released code
    does. That is right where only time is cut short; frames of 224x224 never have others.
    """
    axes = torch.meshgrid(*(torch.arange(size) for size in window), indexing="ij")
    place = torch.stack([axis.flatten() for axis in axes])[:, :tokens]
    apart = place[:, :, None] - place[:, None] + torch.tensor(window)[:, None, None] - 1
    return (apart[0] * (2 * window[1] - 1) + apart[1]) * (2 * window[2] - 1) + apart[2]
