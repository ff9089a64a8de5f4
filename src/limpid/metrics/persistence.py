"""Persistence of detail: is it the same many frames later, where the input stands still (measure M5)?

Only places where the blurred input did not change are compared, without optical flow; so it needs a clip with a fixed
camera, or one with still parts. Correlation does not depend on contrast: softer detail that changes stays visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from limpid.metrics.detail import detail, luma

LAGS = (1, 8, 16, 32)
_LEAST_STILL = 0.1
"""Share of the picture that must stand still for two frames to be compared."""
LEAST_ENERGY = 1e-6
"""Least energy in squared levels of detail, below which there are only rounding errors, which would correlate
perfectly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LongRange:
    """Correlation of detail for each distance in frames, -1 to 1 (1 = nothing changed).

    None where the clip is too short for the distance, too much of it moves, or the still part has no detail at all.
    """

    correlation: Mapping[int, float | None]


class _Look(NamedTuple):
    """One frame: its detail ``4h 4w``, and its blurred input ``h w``."""

    detail: np.ndarray
    input: np.ndarray


def long_range(
    frames: Iterable[np.ndarray],
    lr: Iterable[np.ndarray],
    *,
    lags: Iterable[int] = LAGS,
    threshold: float = 1.0,
    stride: int = 3,
) -> LongRange:
    """Compare restored frames (RGB, 0..255, ``4h 4w 3``) over ``lags`` frames, where LR frames (``h w 3``) are still.

    ``threshold``: change of the blurred input in levels of 255 that still counts as still; ``stride``: only every so
    many frames serves as the first of a pair. Few frames are held at a time, so both may be generators. Raises
    ValueError when their numbers differ or a lag is not positive.
    """
    sums = {lag: np.zeros(3) for lag in lags}
    if not sums or min(sums) < 1:
        raise ValueError(f"lags must be positive numbers of frames, not {tuple(sums)}")
    past: dict[int, _Look] = {}
    for now, (frame, small) in enumerate(zip(frames, lr, strict=True)):
        look = _Look(detail(luma(frame)), _blurred(luma(small)))
        if now % stride == 0:
            past[now] = look
        for lag, total in sums.items():
            if now - lag in past:
                total += _products(past[now - lag], look, threshold)
        past.pop(now - max(sums), None)
    return LongRange(correlation={lag: _correlation(*total) for lag, total in sums.items()})


def _correlation(products: float, squares: float, pixels: float) -> float | None:
    return float(products / squares) if squares > LEAST_ENERGY * pixels else None


def _blurred(y: np.ndarray) -> np.ndarray:
    """Luma without noise and compression artefacts, which change although the scene does not."""
    return cv2.blur(cv2.GaussianBlur(y, (0, 0), 1), (8, 8))


def _products(first: _Look, second: _Look, threshold: float) -> np.ndarray:
    """Terms of a correlation over what stands still: sum of products, mean of both sums of squares, pixels.

    Zeros if too little stands still.
    """
    change = cv2.dilate(np.abs(second.input - first.input), np.ones((9, 9)))
    still = (change < threshold).astype(np.uint8)
    height, width = first.detail.shape
    mask = cv2.resize(still, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    if mask.mean() < _LEAST_STILL:
        return np.zeros(3)
    a, b = first.detail[mask], second.detail[mask]
    return np.array([(a * b).sum(), ((a * a).sum() + (b * b).sum()) / 2, a.size])
