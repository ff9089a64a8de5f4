"""Resizing in pieces: an antialiased bicubic whose result never depends on how the picture is cut.

`F.interpolate(mode="bicubic", antialias=True)` gives other values for a part of a picture than for the whole, because
it takes ratio and borders from what it is given. Here each output row and column has its taps, indices and weights in
the source, from the size of the whole picture (in float64), and a result is the sum of its taps in that order, each
product and each sum rounded once. So a piece that holds the taps gives the same bits as the whole picture.

The kernel is Keys' cubic with slope -0.5, stretched where the picture shrinks ("Cubic Convolution Interpolation for
Digital Image Processing", 1981), which is what PyTorch and Pillow use with antialiasing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from limpid.tiling.plan import AxisSpan

SLOPE = -0.5
SUPPORT = 2.0
"""Reach of the kernel to either side, in pixels of the coarser grid."""
_BAND_ROWS = 16
"""Output rows that are summed up at once."""


@dataclass(frozen=True, kw_only=True)
class AxisTaps:
    """What each output position of one axis is made of: ``count`` source positions from ``first`` on, with weights."""

    source: int
    """Length of the axis of the whole picture."""
    first: np.ndarray
    """``target`` integers."""
    weights: np.ndarray
    """``target count`` float32, rows sum to 1; zero beyond what a position has."""
    last: np.ndarray
    """``target``: the last source position with a weight."""

    @property
    def is_identity(self) -> bool:
        return self.source == len(self.first)


@lru_cache(maxsize=16)
def axis_taps(source: int, target: int) -> AxisTaps:
    """The taps of an axis of ``source`` pixels that becomes one of ``target`` pixels."""
    ratio = source / target
    stretch = max(ratio, 1.0)
    center = (np.arange(target) + 0.5) * ratio
    first = np.maximum((center - SUPPORT * stretch + 0.5).astype(np.int64), 0)
    stop = np.minimum((center + SUPPORT * stretch + 0.5).astype(np.int64), source)
    index = first[:, None] + np.arange(int((stop - first).max()))
    weights = cubic((index + 0.5 - center[:, None]) / stretch) * (index < stop[:, None])
    weights /= weights.sum(axis=1, keepdims=True)
    return AxisTaps(source=source, first=first, weights=weights.astype(np.float32), last=stop - 1)


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel at ``x``."""
    d, a = np.abs(x), SLOPE
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


def owned(start: int, stop: int, length: int, target: int) -> range:
    """The output positions that belong to LR pixels ``start`` to ``stop`` of an axis of ``length`` LR pixels."""
    return range(-(-start * target // length), -(-stop * target // length))


def resize_reach(length: int, scale: int, target: int) -> int:
    """How many LR pixels beyond an LR pixel the taps of its output positions lie at most.

    ``length`` LR pixels are restored at ``scale`` times that, and then resized to ``target``.
    """
    taps = axis_taps(length * scale, target)
    if taps.is_identity:
        return 0
    owner = np.arange(target) * length // target
    before, after = owner * scale - taps.first, taps.last - (owner * scale + scale - 1)
    return -(-max(int(before.max()), int(after.max()), 0) // scale)


def resize_rows(x: Tensor, taps: AxisTaps, wanted: range, origin: int) -> Tensor:
    """The output rows ``wanted``, from a piece ``c h w`` of the source that begins at row ``origin``.

    A few rows at a time, so that they stay in the processor's cache. Raises ValueError when the piece does not hold all
    taps.
    """
    if taps.is_identity:
        return x[:, wanted.start - origin : wanted.stop - origin]
    size, own = x.shape[1], slice(wanted.start, wanted.stop)
    if int(taps.first[own].min()) < origin or int(taps.last[own].max()) >= origin + size:
        raise ValueError(f"source positions {origin} to {origin + size - 1} do not hold the taps of {wanted}")
    index = taps.first[own, None] + np.arange(taps.weights.shape[1]) - origin
    rows = torch.from_numpy(np.minimum(index, size - 1)).to(x.device)  # beyond the last one the weight is zero
    weights = torch.from_numpy(taps.weights[own]).to(x)
    out = x.new_zeros(x.shape[0], len(wanted), x.shape[2])
    for band in (slice(start, start + _BAND_ROWS) for start in range(0, len(wanted), _BAND_ROWS)):
        for tap in range(rows.shape[1]):
            part = x.index_select(1, rows[band, tap])
            out[:, band].add_(part.mul_(weights[band, tap, None]))
    return out


def resize_both(x: Tensor, rows: tuple[AxisTaps, range, int], columns: tuple[AxisTaps, range, int]) -> Tensor:
    """Rows, then columns, which are rows of the transposed picture: gathering whole rows is fast."""
    x = resize_rows(x, *rows)
    return (
        x[..., columns[1].start - columns[2] : columns[1].stop - columns[2]]
        if columns[0].is_identity
        else (resize_rows(x.mT.contiguous(), *columns).mT)
    )


def resize_part(
    x: Tensor,
    sizes: tuple[int, int],
    targets: tuple[int, int],
    spans: tuple[AxisSpan, AxisSpan],
    wanted: Sequence[range],
    scale: int,
) -> Tensor:
    """A part of a resized picture, ``c h w`` clipped to [0, 1], from a part of the picture.

    Args:
        x: ``scale`` times the size of what ``spans`` read, rows first, of an LR picture of ``sizes``.
        targets: height and width that the whole picture is resized to.
        wanted: which of its rows and columns.
    """
    axes = zip(sizes, targets, spans, wanted, strict=True)
    rows, columns = ((axis_taps(n * scale, target), own, span.start * scale) for n, target, span, own in axes)
    return resize_both(x, rows, columns).clamp(0, 1)


def resize(frames: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bicubic resize of whole frames ``t c h w``, clipped to [0, 1]."""
    rows, columns = axis_taps(frames.shape[-2], height), axis_taps(frames.shape[-1], width)
    one = ((rows, range(height), 0), (columns, range(width), 0))
    return torch.stack([resize_both(frame, *one) for frame in frames]).clamp_(0, 1)
