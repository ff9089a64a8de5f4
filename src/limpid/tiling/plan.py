"""Places of tiles and windows: pure functions of sizes, the same for every worker.

Two ways to cut. *Overlapping* pieces are for networks that see all of what they are given (attention, pooled norms):
their results are blended. *Haloed* pieces are for local networks: each piece is read with a halo as wide as the network
can see and only its core is kept, so that the result is the same, bit for bit, for any cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from limpid.types import Tile


@dataclass(frozen=True, kw_only=True, slots=True)
class AxisSpan:
    """A piece of one axis: ``start:stop`` is read, ``keep_start:keep_stop`` inside it is what counts."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.keep_start < self.keep_stop <= self.stop:
            raise ValueError(f"a span keeps [{self.keep_start}, {self.keep_stop}) of [{self.start}, {self.stop})")

    def scaled(self, factor: int) -> AxisSpan:
        """This piece on an axis that is ``factor`` times as long."""
        return AxisSpan(
            start=self.start * factor,
            stop=self.stop * factor,
            keep_start=self.keep_start * factor,
            keep_stop=self.keep_stop * factor,
        )


def overlapping_spans(count: int, length: int | None, overlap: int, offset: int = 0) -> tuple[AxisSpan, ...]:
    """Pieces of ``length`` that overlap by at least ``overlap`` and cover ``count`` positions.

    They begin on a grid of ``length - overlap`` that is counted ``offset`` positions before the first one. All have the
    full length: the first begins at 0 even off the grid, the last is shifted back so as not to run over the end.
    ``length`` None, or no shorter than ``count``: one piece.
    """
    if count < 1:
        raise ValueError(f"an axis of {count} positions cannot be cut")
    if length is None or length >= count:
        return (AxisSpan(start=0, stop=count, keep_start=0, keep_stop=count),)
    if not 0 <= overlap < length:
        raise ValueError(f"an overlap of {overlap} does not fit pieces of {length}; it must be 0 to {length - 1}")
    stride = length - overlap
    starts = [0]
    while starts[-1] + length < count:
        on_grid = (starts[-1] + offset) // stride * stride + stride - offset
        starts.append(min(on_grid, count - length))
    return tuple(AxisSpan(start=s, stop=s + length, keep_start=s, keep_stop=s + length) for s in starts)


def even_length(count: int, longest: int, overlap: int) -> int:
    """Least length of pieces, as few as of ``longest``, that cover ``count`` and overlap by ``overlap`` at least."""
    if longest >= count:
        return count
    pieces = math.ceil((count - overlap) / (longest - overlap))
    return math.ceil((count + (pieces - 1) * overlap) / pieces)


def visited_spans(count: int, length: int, overlap: int) -> tuple[AxisSpan, ...]:
    """Windows as the released code of Upscale-A-Video visits them: when ``count - overlap`` is a multiple of the stride
    the last one, shifted back, comes twice."""
    if length >= count:
        return overlapping_spans(count, length, overlap)
    stride = length - overlap
    starts = [min(i * stride, count - length) for i in range((count - overlap) // stride + 1)]
    return tuple(AxisSpan(start=s, stop=s + length, keep_start=s, keep_stop=s + length) for s in starts)


def chunked_spans(count: int, length: int) -> tuple[AxisSpan, ...]:
    """Pieces of ``length`` side by side, the last one as short as the rest is."""
    edges = [*range(0, count, length), count]
    return tuple(AxisSpan(start=a, stop=b, keep_start=a, keep_stop=b) for a, b in pairwise(edges))


def haloed_spans(count: int, length: int | None, halo: int, keep: range | None = None) -> tuple[AxisSpan, ...]:
    """Cores of at most ``length`` that lie side by side, each read with up to ``halo`` positions to either side.

    The cores cover ``keep``, or all ``count`` positions; the halo ends where the axis ends.
    """
    keep = range(count) if keep is None else keep
    if not keep or keep[-1] >= count or halo < 0 or (length is not None and length < 1):
        raise ValueError(f"cannot cut {keep} of {count} positions into pieces of {length} with a halo of {halo}")
    pieces = 1 if length is None else math.ceil(len(keep) / length)
    edges = [keep.start + len(keep) * i // pieces for i in range(pieces + 1)]
    return tuple(
        AxisSpan(start=max(a - halo, 0), stop=min(b + halo, count), keep_start=a, keep_stop=b)
        for a, b in pairwise(edges)
    )


def plan_tiles(height: int, width: int, tile: int | None, overlap: int) -> tuple[Tile, ...]:
    """Overlapping square tiles (or as large as the canvas is), row by row; all in the same unit."""
    return cross(overlapping_spans(height, tile, overlap), overlapping_spans(width, tile, overlap))


def cross(rows: tuple[AxisSpan, ...], columns: tuple[AxisSpan, ...]) -> tuple[Tile, ...]:
    """Tiles, row by row, from the pieces of both axes: what is read of a canvas."""
    return tuple(Tile(top=r.start, bottom=r.stop, left=c.start, right=c.stop) for r in rows for c in columns)
