"""Putting a canvas together from pieces: weights along an axis, and the accumulator.

Weights of an axis are normalised before they are used, so that they sum to 1 at every position; a piece of the canvas
is weighted by the product of its three axes, and no canvas of weights is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from limpid.tiling.plan import AxisSpan, chunked_spans, haloed_spans, overlapping_spans, visited_spans
from limpid.types import Tile, Window

BlendWeights = Literal["ramp", "gaussian", "gaussian_compat", "box"]
"""How overlapping tiles or windows are weighted: linear ramps, a Gaussian bump, or a plain mean. ``gaussian_compat`` is
the bump of the released code of MGLD-VSR, whose middle lies half a pixel low."""
GAUSSIAN_VARIANCE = 0.01
"""Variance of the Gaussian weights in units of the piece's length squared, that of StableSR and MGLD-VSR."""


def raw_weights(length: int, kind: BlendWeights, left: int, right: int) -> Tensor:
    """Weights of one piece before they are normalised, float64; ``left`` and ``right`` positions are shared."""
    if kind == "box":
        return torch.ones(length, dtype=torch.float64)
    middle = torch.arange(length, dtype=torch.float64) + 0.5
    if kind in ("gaussian", "gaussian_compat"):
        late = 0.5 / length if kind == "gaussian_compat" else 0.0
        return torch.exp(-((middle / length - 0.5 - late) ** 2) / (2 * GAUSSIAN_VARIANCE))
    rising = (middle / left).clamp(max=1.0) if left else torch.ones_like(middle)
    falling = ((length - middle) / right).clamp(max=1.0) if right else torch.ones_like(middle)
    return rising * falling


def kinds_of_axes(kind: BlendWeights) -> tuple[BlendWeights, BlendWeights]:
    """The kinds of weights of rows and of columns: only the rows of ``gaussian_compat`` are not symmetric."""
    return kind, "gaussian" if kind == "gaussian_compat" else kind


def blend_weights(spans: Sequence[AxisSpan], kind: BlendWeights) -> tuple[Tensor, ...]:
    """Weights of each piece over what it reads, float32; at every position those of all pieces sum to 1."""
    total = torch.zeros(max(s.stop for s in spans), dtype=torch.float64)
    raw = []
    for i, span in enumerate(spans):
        left = spans[i - 1].stop - span.start if i else 0
        right = span.stop - spans[i + 1].start if i + 1 < len(spans) else 0
        raw.append(raw_weights(span.stop - span.start, kind, left, right))
        total[span.start : span.stop] += raw[-1]
    return tuple((w / total[s.start : s.stop]).float() for s, w in zip(spans, raw, strict=True))


def running_weights(spans: Sequence[AxisSpan]) -> tuple[Tensor, ...]:
    """Weights that each piece has in the end when every new one is averaged half and half with what is there."""
    weights = [torch.ones(s.stop - s.start, dtype=torch.float64) for s in spans]
    for i, new in enumerate(spans):
        seen = torch.zeros(new.stop - new.start, dtype=torch.bool)
        for old, weight in zip(spans[:i], weights, strict=False):
            start, stop = max(old.start, new.start), min(old.stop, new.stop)
            if start < stop:
                weight[start - old.start : stop - old.start] *= 0.5
                seen[start - new.start : stop - new.start] = True
        weights[i][seen] = 0.5
    return tuple(weight.float() for weight in weights)


@dataclass(frozen=True)
class Axis:
    """An axis of the canvas cut into pieces.

    ``weights`` is None where pieces are cropped to what they keep, or there is only one.
    """

    spans: tuple[AxisSpan, ...]
    weights: tuple[Tensor, ...] | None = None

    @staticmethod
    def overlapping(count: int, length: int | None, overlap: int, kind: BlendWeights = "ramp", offset: int = 0) -> Axis:
        spans = overlapping_spans(count, length, overlap, offset)
        return Axis(spans, blend_weights(spans, kind) if len(spans) > 1 else None)

    @staticmethod
    def visited(count: int, length: int | None, overlap: int) -> Axis:
        """An axis of windows averaged in visiting order, ``old / 2 + new / 2``, as UAV's released code does it.

        Not a mean where more than two windows meet; a window that comes twice counts twice.
        """
        spans = visited_spans(count, length or count, overlap)
        return Axis(spans, running_weights(spans) if len(spans) > 1 else None)

    @staticmethod
    def chunked(count: int, length: int | None) -> Axis:
        """An axis of pieces side by side that know nothing of each other, as released decoders work."""
        return Axis(chunked_spans(count, length or count))

    @staticmethod
    def haloed(count: int, length: int | None, halo: int, keep: range | None = None) -> Axis:
        return Axis(haloed_spans(count, length, halo, keep))

    @property
    def kept(self) -> range:
        """The positions that the pieces cover together."""
        return range(min(s.keep_start for s in self.spans), max(s.keep_stop for s in self.spans))

    def touching(self, keep: range) -> Axis:
        """The axis of only those pieces that hold something of ``keep``, with the weights that they have among all."""
        chosen = [i for i, s in enumerate(self.spans) if s.keep_start < keep.stop and s.keep_stop > keep.start]
        weights = None if self.weights is None else tuple(self.weights[i] for i in chosen)
        return Axis(tuple(self.spans[i] for i in chosen), weights)

    def scaled(self, factor: int, kind: BlendWeights = "ramp") -> Axis:
        """This axis on a canvas ``factor`` times as fine, with weights as smooth as that canvas allows."""
        spans = tuple(s.scaled(factor) for s in self.spans)
        return Axis(spans, None if self.weights is None else blend_weights(spans, kind))


@dataclass(frozen=True)
class Grid:
    """A canvas ``c t h w`` cut along time, rows and columns; every window has the same tiles."""

    frames: Axis
    rows: Axis
    columns: Axis

    @property
    def is_single(self) -> bool:
        """Whether the grid is one piece, from which nothing has to be put together."""
        return len(self.frames.spans) == 1 and self.num_tiles == 1

    @property
    def num_tiles(self) -> int:
        return len(self.rows.spans) * len(self.columns.spans)

    def window(self, index: int) -> Window:
        span = self.frames.spans[index]
        return Window(start=span.start, stop=span.stop)

    def tile(self, index: int) -> Tile:
        row, column = divmod(index, len(self.columns.spans))
        r, c = self.rows.spans[row], self.columns.spans[column]
        return Tile(top=r.start, bottom=r.stop, left=c.start, right=c.stop)

    def slices(self, window: int, tile: int) -> tuple[slice, slice, slice]:
        """The part of the canvas that one call reads, as slices of the last three dimensions."""
        w, t = self.window(window), self.tile(tile)
        return slice(w.start, w.stop), slice(t.top, t.bottom), slice(t.left, t.right)


class Blender:
    """Accumulates pieces into the part of a canvas ``... t h w`` that a grid covers."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.canvas: Tensor | None = None

    def add(self, piece: Tensor, window: int, tile: int) -> None:
        """Adds a ``piece``: what one call made of ``grid.slices(window, tile)``; only what counts of it is used."""
        canvas = self._canvas_like(piece)
        row, column = divmod(tile, len(self.grid.columns.spans))
        axes = ((self.grid.frames, window, -3), (self.grid.rows, row, -2), (self.grid.columns, column, -1))
        # the weight of a place is the product of those of its three axes
        for axis, index, dim in axes:
            if axis.weights is not None:
                piece = piece * _along(axis.weights[index].to(piece), dim)
        (t, r, c), (t_in, r_in, c_in) = zip(*(_kept(axis, i) for axis, i, _ in axes), strict=True)
        # cropped pieces are put side by side, weighted ones summed up
        if all(axis.weights is None for axis, _, _ in axes):
            canvas[..., t, r, c] = piece[..., t_in, r_in, c_in]
        else:
            canvas[..., t, r, c] += piece[..., t_in, r_in, c_in]

    def result(self) -> Tensor:
        if self.canvas is None:
            raise ValueError("nothing was added")
        return self.canvas

    def _canvas_like(self, piece: Tensor) -> Tensor:
        if self.canvas is None:
            size = [len(axis.kept) for axis in (self.grid.frames, self.grid.rows, self.grid.columns)]
            self.canvas = piece.new_zeros(*piece.shape[:-3], *size)
        return self.canvas


def _kept(axis: Axis, index: int) -> tuple[slice, slice]:
    """The part of a piece that counts: where it lies on the canvas that is covered, and in the piece."""
    span, origin = axis.spans[index], axis.kept.start
    inside = slice(span.keep_start - span.start, span.keep_stop - span.start)
    return slice(span.keep_start - origin, span.keep_stop - origin), inside


def _along(weights: Tensor, dim: int) -> Tensor:
    return weights.reshape(-1, *[1] * (-dim - 1))
