"""Which parts of the picture are worth a closer look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from limpid.bench.compare.measures import CELL
from limpid.types import SettingsError


class Crop(NamedTuple):
    """A rectangle in pixels of the results, and the frame (counted from the first shown) where it matters most."""

    x: int
    y: int
    width: int
    height: int
    frame: int


def usual_size(width: int, height: int) -> tuple[int, int]:
    """The size of crops that are chosen by themselves: about an eighth of the width, 4:3."""
    wide = min(width, max(64, min(144, width // 8 // CELL * CELL)))
    return wide, min(height, wide * 3 // 4)


def choose_crops(disagreement: np.ndarray, size: tuple[int, int], picture: tuple[int, int], count: int) -> list[Crop]:
    """Up to ``count`` places that do not overlap, the one with the largest mean disagreement first.

    ``disagreement``: ``t h/8 w/8``; ``size`` of a crop and of the ``picture``: width, height in pixels. Where nothing
    differs (any more) no further crop is chosen; one in the middle is always there.
    """
    cells = (max(1, round(size[0] / CELL)), max(1, round(size[1] / CELL)))
    scores = np.stack([_window_means(plane, cells) for plane in disagreement])
    chosen: list[Crop] = []
    while len(chosen) < count and scores.max() > 0:
        frame, row, column = (int(n) for n in np.unravel_index(int(scores.argmax()), scores.shape))
        x, y = (min(at * CELL, whole - part) for at, whole, part in zip((column, row), picture, size, strict=True))
        chosen.append(Crop(x, y, *size, frame))
        high, wide = (
            slice(max(0, row - cells[1] + 1), row + cells[1]),
            slice(max(0, column - cells[0] + 1), column + cells[0]),
        )
        scores[:, high, wide] = 0
    return chosen or [Crop((picture[0] - size[0]) // 2, (picture[1] - size[1]) // 2, *size, 0)]


def _window_means(plane: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """Mean of each whole window of ``cells`` (columns, rows), by its upper left cell."""
    wide, high = min(cells[0], plane.shape[1]), min(cells[1], plane.shape[0])
    means = cv2.blur(plane, (wide, high), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    return np.asarray(means)[: plane.shape[0] - high + 1, : plane.shape[1] - wide + 1].copy()


def place_crops(
    wished: Sequence[tuple[int, int, int, int]], disagreement: np.ndarray, picture: tuple[int, int]
) -> list[Crop]:
    """Crops by hand, each at the frame with the most disagreement inside; `SettingsError` outside the picture."""
    return [_placed(box, disagreement, picture) for box in wished]


def _placed(box: tuple[int, int, int, int], disagreement: np.ndarray, picture: tuple[int, int]) -> Crop:
    x, y, width, height = box
    if min(x, y) < 0 or min(width, height) < 8 or x + width > picture[0] or y + height > picture[1]:
        raise SettingsError(
            f"--crop {x},{y},{width},{height} must lie inside the picture of {picture[0]}x{picture[1]} and have at "
            "least 8 pixels on each side"
        )
    inside = disagreement[:, y // CELL : -(-(y + height) // CELL), x // CELL : -(-(x + width) // CELL)]
    return Crop(*box, int(inside.mean((1, 2)).argmax()))
