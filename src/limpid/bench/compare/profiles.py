"""Temporal profiles: one line of the picture over time. What is steady draws straight bands, flicker draws combs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from limpid.bench.compare.crops import Crop

LONGEST = 240
"""Pixels of the line that are shown: at one pixel for one, flicker of single pixels stays visible."""


class ProfileLine(NamedTuple):
    """A row (``along`` x) or a column (``along`` y) of the picture: pixels ``first:stop`` of number ``at``."""

    kind: Literal["row", "column"]
    at: int
    first: int
    stop: int


def choose_line(
    crop: Crop, picture: tuple[int, int], kind: Literal["row", "column"] = "column", at: int | None = None
) -> ProfileLine:
    """Line number ``at``, or through the middle of ``crop``: up to 240 pixels around the crop. ``picture``: w, h."""
    middle = (crop.x + crop.width // 2, crop.y + crop.height // 2)
    across, along = (0, 1) if kind == "column" else (1, 0)
    length = min(LONGEST, picture[along])
    first = max(0, min(middle[along] - length // 2, picture[along] - length))
    return ProfileLine(kind, middle[across] if at is None else at, first, first + length)


def slice_of(picture: np.ndarray, line: ProfileLine) -> np.ndarray:
    """The pixels of ``line``: ``n 3``."""
    part = slice(line.first, line.stop)
    return (picture[part, line.at] if line.kind == "column" else picture[line.at, part]).copy()


def profile(slices: Sequence[np.ndarray], line: ProfileLine) -> np.ndarray:
    """Slices ``n 3`` of successive frames as a picture: time runs to the right for a column, down for a row."""
    return np.stack(slices, axis=1 if line.kind == "column" else 0)
