"""All sources in one video, laid out like tiles: a browser then shows every one of them at exactly the same frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

import cv2
import numpy as np

from limpid.types import OutputError
from limpid.video import inline_mp4

_BLOCK = 16
"""Tiles start where blocks of the codec do, so that none holds pixels of two sources."""
MAX_SIDE = 4096
MAX_BLOCKS = 36864
"""Blocks of 16x16 pixels that a frame has at most in H.264 level 5.1, which the decoders of telephones and televisions
know too (ITU-T H.264, table A-1)."""
QUALITIES = (16, 21, 26, 31, 36)
"""Rate factors that are tried until the video fits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TileLayout:
    """Sources in ``columns`` x ``rows`` tiles of ``tile`` pixels, each picture ``width`` x ``height`` in its corner."""

    columns: int
    rows: int
    tile: tuple[int, int]
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonVideo:
    """The encoded video and how it came about."""

    data: bytes
    layout: TileLayout
    crf: int


def plan_layout(count: int, width: int, height: int) -> TileLayout:
    """The arrangement that keeps the pictures largest within what decoders take; they are never enlarged."""
    return max((_fitted(columns, count, width, height) for columns in range(1, count + 1)), key=_rank)


def _rank(layout: TileLayout) -> tuple[int, int]:
    wide, high = layout.columns * layout.tile[0], layout.rows * layout.tile[1]
    return layout.width, -max(wide, high)


def _fitted(columns: int, count: int, width: int, height: int) -> TileLayout:
    rows = -(-count // columns)
    area = columns * rows * width * height / _BLOCK**2
    scale = min(1.0, MAX_SIDE / (columns * width), MAX_SIDE / (rows * height), sqrt(MAX_BLOCKS / area))
    while True:
        wide, high = max(2, round(width * scale)), max(2, round(height * scale))
        tile = (-(-wide // _BLOCK) * _BLOCK, -(-high // _BLOCK) * _BLOCK)
        blocks = columns * tile[0] * rows * tile[1] // _BLOCK**2
        if (columns * tile[0] <= MAX_SIDE and rows * tile[1] <= MAX_SIDE and blocks <= MAX_BLOCKS) or scale < 0.01:
            return TileLayout(columns=columns, rows=rows, tile=tile, width=wide, height=high)
        scale *= 0.99


def lay_out(pictures: Sequence[np.ndarray], layout: TileLayout) -> np.ndarray:
    """The pictures of one frame as one, RGB uint8; tiles are filled up by repeating the edge."""
    tile_width, tile_height = layout.tile
    canvas = np.zeros((layout.rows * tile_height, layout.columns * tile_width, 3), np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, layout.columns)
        small = _shrunk(picture, layout.width, layout.height)
        filled = np.pad(small, ((0, tile_height - layout.height), (0, tile_width - layout.width), (0, 0)), mode="edge")
        top, left = row * tile_height, column * tile_width
        canvas[top : top + tile_height, left : left + tile_width] = filled
    return canvas


def _shrunk(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


def encode_comparison(
    frames: Callable[[], Iterable[Sequence[np.ndarray]]],
    layout: TileLayout,
    *,
    fps: Fraction,
    crf: int,
    most_bytes: int,
) -> ComparisonVideo:
    """Encode at ``crf``, or at the first worse quality that fits ``most_bytes``; ``frames()`` starts from the first.

    Raises `OutputError` when even the worst does not fit.
    """
    size = 0
    for quality in (crf, *(q for q in QUALITIES if q > crf)):
        data = inline_mp4(_tiled(frames(), layout), fps=fps, crf=quality)
        size = len(data)
        if size <= most_bytes:
            return ComparisonVideo(data=data, layout=layout, crf=quality)
    raise OutputError(
        f"the video of the page has {size / 1e6:.3g} MB at the lowest quality, the limit is {most_bytes / 1e6:.3g} MB: "
        "show fewer --frames or raise --max-mb"
    )


def _tiled(frames: Iterable[Sequence[np.ndarray]], layout: TileLayout) -> Iterator[np.ndarray]:
    return (lay_out(pictures, layout) for pictures in frames)
