"""Downscaling by a whole number with known sampling positions: the bicubic and blur-downsample of benchmarks."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

_BLUR_SIGMA = 1.6
"""Sigma of the blur of "BD" benchmarks (Gaussian, then every fourth pixel), in HR pixels at scale 4."""


def bicubic(frame: np.ndarray, scale: int) -> np.ndarray:
    """Antialiased bicubic (a = -1/2, the kernel widened by the scale: MATLAB's ``imresize``), edges repeated.

    Args:
        frame: ``h w 3``, any number format; sides multiples of ``scale``.

    Returns:
        float32 ``h/scale w/scale 3`` in the same range, not clipped.
    """
    return _both_axes(frame, scale, "bicubic", 0.0)


def blur_downsample(frame: np.ndarray, scale: int, *, sigma: float = _BLUR_SIGMA, corner: bool = False) -> np.ndarray:
    """Gaussian blur and subsampling in one; like `bicubic` in all else.

    With ``corner`` every ``scale``-th pixel from the first is taken, as the published BD sets do, which shifts the
    picture by ``(scale - 1) / 2`` HR pixels; without, samples lie at the centres of the pixels that they stand for.
    """
    return _both_axes(frame, scale, "corner" if corner else "center", sigma)


def area(frame: np.ndarray, scale: int, *, blur_sigma: float) -> np.ndarray:
    """Gaussian blur (HR pixels; 0 for none) and area averaging; like `bicubic` in all else."""
    wide: np.ndarray = frame.astype(np.float32)
    if blur_sigma:
        wide = cv2.GaussianBlur(wide, (0, 0), blur_sigma, borderType=cv2.BORDER_REPLICATE)
    size = (frame.shape[1] // scale, frame.shape[0] // scale)
    return np.asarray(cv2.resize(wide, size, interpolation=cv2.INTER_AREA))


def _both_axes(frame: np.ndarray, scale: int, how: str, sigma: float) -> np.ndarray:
    rows, columns = (_weights(side, scale, how, sigma) for side in frame.shape[:2])
    wide = np.asarray(frame, np.float32)
    tall = (rows @ wide.reshape(len(wide), -1)).reshape(len(rows), -1, 3)
    return np.ascontiguousarray((columns @ tall), np.float32)


@lru_cache(maxsize=8)
def _weights(side: int, scale: int, how: str, sigma: float) -> np.ndarray:
    """Matrix ``side/scale side`` that filters and samples one axis; rows sum to 1."""
    centers = np.arange(side // scale) * scale + (0.0 if how == "corner" else (scale - 1) / 2)
    reach = 2 * scale if how == "bicubic" else int(np.ceil(4 * sigma))
    taps = np.floor(centers)[:, None] + np.arange(-reach, reach + 2)
    distance = np.abs(taps - centers[:, None])
    weights = _cubic(distance / scale) if how == "bicubic" else np.exp(-0.5 * (distance / sigma) ** 2)
    weights /= weights.sum(1, keepdims=True)
    matrix = np.zeros((len(centers), side))
    np.add.at(matrix, (np.arange(len(centers))[:, None], np.clip(taps, 0, side - 1).astype(int)), weights)
    return matrix.astype(np.float32)


def _cubic(x: np.ndarray) -> np.ndarray:
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
