"""NIQE (Mittal, Soundararajan and Bovik 2013): distance of a picture's statistics from those of pristine photos.

Blocks of 96x96 at two scales give 36 numbers each: shapes and widths of the normalised luma and of its products with
neighbours. The statistics of the photos (``niqe_pristine.npz``) are those that basicsr distributes.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from limpid.metrics.fidelity import studio_luma

BLOCK = 96
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
PARAMETERS = Path(__file__).parent / "niqe_pristine.npz"


class _Pristine(NamedTuple):
    mean: np.ndarray
    covariance: np.ndarray
    window: np.ndarray


def frame_niqe(frame: np.ndarray) -> float:
    """NIQE of a picture, RGB 0..255 ``h w 3``; lower is more natural. Y of 16..235 is rounded, as by basicsr.

    What does not fill a block of 96x96 at the right and bottom is left out. Raises ValueError where fewer than two
    blocks have statistics.
    """
    y = np.rint(studio_luma(frame))
    rows, columns = y.shape[0] // BLOCK, y.shape[1] // BLOCK
    if rows * columns < 2:
        raise ValueError(f"NIQE needs two blocks of {BLOCK}x{BLOCK} pixels, not {frame.shape[1]}x{frame.shape[0]}")
    y = y[: rows * BLOCK, : columns * BLOCK]
    features = np.hstack([_features(y, BLOCK), _features(_half(y), BLOCK // 2)])
    whole = features[~np.isnan(features).any(1)]
    if len(whole) < 2:
        raise ValueError("NIQE found no two blocks that are not of one colour")
    pristine = _pristine()
    apart = pristine.mean - np.nanmean(features, 0)
    inverse = np.linalg.pinv((pristine.covariance + np.cov(whole, rowvar=False)) / 2)
    return float(np.sqrt(apart @ inverse @ apart))


@cache
def _pristine() -> _Pristine:
    with np.load(PARAMETERS, allow_pickle=False) as file:
        return _Pristine(file["mu_pris_param"].ravel(), file["cov_pris_param"], file["gaussian_window"])


def _features(y: np.ndarray, block: int) -> np.ndarray:
    """18 numbers for each block, in rows."""
    normal = _normalised(y)
    places = [(r, c) for r in range(0, y.shape[0], block) for c in range(0, y.shape[1], block)]
    return np.array([_block_features(normal[r : r + block, c : c + block]) for r, c in places])


def _normalised(y: np.ndarray) -> np.ndarray:
    """Luma less its local mean, over its local deviation."""
    window, border = _pristine().window, cv2.BORDER_REPLICATE
    mean = cv2.filter2D(y, cv2.CV_64F, window, borderType=border)
    power = cv2.filter2D(y * y, cv2.CV_64F, window, borderType=border)
    return np.asarray((y - mean) / (np.sqrt(np.abs(power - mean * mean)) + 1))


def _block_features(block: np.ndarray) -> list[float]:
    shape, left, right = _fit(block)
    numbers = [shape, (left + right) / 2]
    for shift in NEIGHBOURS:
        shape, left, right = _fit(block * np.roll(block, shift, (0, 1)))
        mean = (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape)
        numbers += [shape, mean, left, right]
    return numbers


def _fit(x: np.ndarray) -> tuple[float, float, float]:
    """Shape and both widths of an asymmetric generalised Gaussian, by its moments.

    A side without values has NaN as its width, and the shape is then the least, as basicsr has it.
    """
    left, right = (_deviation(part) for part in (x[x < 0], x[x > 0]))
    skew = left / right
    wanted = float(np.mean(np.abs(x)) ** 2 / max(float(np.mean(x**2)), 1e-300)) * (skew**3 + 1) * (skew + 1)
    shapes, ratios = _shapes()
    shape = float(shapes[np.argmin((ratios - wanted / (skew**2 + 1) ** 2) ** 2)])
    width = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    return shape, left * width, right * width


def _deviation(part: np.ndarray) -> float:
    return float(np.sqrt(np.mean(part**2))) if part.size else math.nan


@cache
def _shapes() -> tuple[np.ndarray, np.ndarray]:
    """Shapes 0.2, 0.201 to 10, and the ratio of squared mean and variance that each has."""
    shapes = np.arange(0.2, 10.001, 0.001)
    one, two, three = (np.array([math.lgamma(k / s) for s in shapes]) for k in (1, 2, 3))
    return shapes, np.exp(2 * two - one - three)


def _half(y: np.ndarray) -> np.ndarray:
    """Half the size by antialiased bicubic (a = -0.5), mirrored at the borders, as MATLAB's imresize."""
    d = np.abs(np.arange(-3.5, 4) / 2)
    taps = np.where(d <= 1, 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2)
    taps /= taps.sum()
    for axis in (0, 1):
        padded = np.pad(y, [(3, 3) if a == axis else (0, 0) for a in (0, 1)], mode="symmetric")
        padded = np.moveaxis(padded, axis, 0)
        count = y.shape[axis] // 2
        y = np.moveaxis(sum(taps[k] * padded[k : k + 2 * count : 2] for k in range(8)), 0, axis)
    return y
