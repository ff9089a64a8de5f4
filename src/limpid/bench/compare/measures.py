"""First pass over the frames: curves over time, mean differences to the base, and where the outputs disagree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from limpid.metrics import psnr

CELL = 8
"""Pixels of a cell of the disagreement map: fine enough to place a crop, small enough to keep for every frame."""

Curve = tuple[float | None, ...]
"""One value per frame; None where there is none, infinity for identical frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """What the first pass found, one entry per source.

    ``psnr``: to the base in dB, RGB, None for the base itself. ``level``: mean of Y (BT.601). ``change``: mean of
    ``|Y(t) - Y(t-1)|``. ``difference``: mean over time of ``|Y - Y of the base|`` in levels of 255, float32 ``h w``.
    ``disagreement``: ``t h/8 w/8`` float32, the range of Y over the outputs, mean of each cell.
    """

    psnr: tuple[Curve | None, ...]
    level: tuple[Curve, ...]
    change: tuple[Curve, ...]
    difference: tuple[np.ndarray, ...]
    disagreement: np.ndarray


def measure_frames(frames: Iterable[Sequence[np.ndarray]], outputs: Sequence[int]) -> Measures:
    """Measure the pictures of all sources frame by frame; source 0 is the base. Frames: RGB uint8 ``h w 3``.

    ``outputs``: the sources whose disagreement is mapped. At least one frame (ValueError).
    """
    rows = _Rows()
    for pictures in frames:
        rows.add(pictures, outputs)
    if not rows.maps:
        raise ValueError("no frames to measure")
    return rows.measures()


class _Rows:
    """What grows while frames come in."""

    def __init__(self) -> None:
        self.psnr: list[list[float]] = []
        self.level: list[list[float]] = []
        self.change: list[list[float | None]] = []
        self.maps: list[np.ndarray] = []
        self.sums: list[np.ndarray] = []
        self._before: list[np.ndarray] | None = None

    def add(self, pictures: Sequence[np.ndarray], outputs: Sequence[int]) -> None:
        gray = [np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)) for picture in pictures]
        self.psnr.append([psnr([picture], [pictures[0]]) for picture in pictures[1:]])
        self.level.append([float(plane.mean()) for plane in gray])
        before = self._before
        self.change.append([None if before is None else _apart(plane, before[n]) for n, plane in enumerate(gray)])
        self._before = gray
        self.maps.append(disagreement([gray[n] for n in outputs]))
        away = [cv2.absdiff(plane, gray[0]).astype(np.float32) for plane in gray]
        self.sums = [a + b for a, b in zip(self.sums, away, strict=True)] if self.sums else away

    def measures(self) -> Measures:
        count = len(self.maps)
        return Measures(
            psnr=(None, *zip(*self.psnr, strict=True)),
            level=tuple(zip(*self.level, strict=True)),
            change=tuple(zip(*self.change, strict=True)),
            difference=tuple(total / count for total in self.sums),
            disagreement=np.stack(self.maps),
        )


def disagreement(planes: Sequence[np.ndarray]) -> np.ndarray:
    """The range of Y over several pictures, uint8 ``h w`` each, as the mean of each cell of 8x8: float32."""
    spread = (np.max(planes, axis=0) - np.min(planes, axis=0)).astype(np.float32)
    high, wide = (-(-side // CELL) * CELL for side in spread.shape)
    padded = np.pad(spread, ((0, high - spread.shape[0]), (0, wide - spread.shape[1])))
    cells = padded.reshape(high // CELL, CELL, wide // CELL, CELL).mean((1, 3))
    return np.asarray(cells, np.float32)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(cv2.absdiff(a, b).mean())
