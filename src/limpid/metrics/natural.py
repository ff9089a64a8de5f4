"""Statistics of natural pictures that NIQE and BRISQUE share: contrast, fits of generalised Gaussians, half the size.

Sources: Mittal, Moorthy and Bovik 2012 (BRISQUE), Mittal, Soundararajan and Bovik 2013 (NIQE); the fits are by moments,
over a table of shapes, as in the authors' programs.
"""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np


def normalised(y: np.ndarray, window: np.ndarray, border: int) -> np.ndarray:
    """MSCN coefficients: luma 0..255 ``h w`` less its local mean, over its local deviation + 1.

    ``border``: one of OpenCV's BORDER_*.
    """
    mean = cv2.filter2D(y, cv2.CV_64F, window, borderType=border)
    power = cv2.filter2D(y * y, cv2.CV_64F, window, borderType=border)
    return np.asarray((y - mean) / (np.sqrt(np.abs(power - mean * mean)) + 1))


def fit_asymmetric(x: np.ndarray) -> tuple[float, float, float]:
    """Shape of an asymmetric generalised Gaussian, and the deviations of its two sides, by its moments.

    A side without values has NaN as its deviation, and the shape is then the least of the table.
    """
    left, right = (_deviation(part) for part in (x[x < 0], x[x > 0]))
    # the ratio of moments of an asymmetric generalised Gaussian, brought to that of a symmetric one
    skew = left / right
    wanted = float(np.mean(np.abs(x)) ** 2 / max(float(np.mean(x**2)), 1e-300)) * (skew**3 + 1) * (skew + 1)
    shapes, ratios = _shapes()
    shape = float(shapes[np.argmin((ratios - wanted / (skew**2 + 1) ** 2) ** 2)])
    return shape, left, right


def fit_symmetric(x: np.ndarray) -> tuple[float, float]:
    """Shape and deviation of a generalised Gaussian about zero; NaN as deviation where all is zero."""
    power, mean = float(np.mean(x**2)), float(np.mean(np.abs(x)))
    if not mean:
        return math.nan, math.nan
    shapes, ratios = _shapes()
    return float(shapes[np.argmin(np.abs(1 / ratios - power / mean**2))]), math.sqrt(power)


def width_of(shape: float, deviation: float) -> float:
    """The scale parameter of a generalised Gaussian of this shape and deviation."""
    return deviation * math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))


def mean_of_sides(shape: float, left: float, right: float) -> float:
    """The mean of an asymmetric generalised Gaussian, from the widths of its sides."""
    return (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape)


def _deviation(part: np.ndarray) -> float:
    return float(np.sqrt(np.mean(part**2))) if part.size else math.nan


@cache
def _shapes() -> tuple[np.ndarray, np.ndarray]:
    """Shapes 0.2, 0.201 to 10, and the ratio of squared mean and variance that each has."""
    shapes = np.arange(0.2, 10.001, 0.001)
    one, two, three = (np.array([math.lgamma(k / s) for s in shapes]) for k in (1, 2, 3))
    return shapes, np.exp(2 * two - one - three)


def half(y: np.ndarray) -> np.ndarray:
    """A picture at half the size, odd sides rounded up: antialiased bicubic (a = -0.5), as MATLAB's imresize.

    It is mirrored at the borders.
    """
    for axis in (0, 1):
        y = np.moveaxis(_half(np.moveaxis(y, axis, 0)), 0, axis)
    return y


def _half(y: np.ndarray) -> np.ndarray:
    """A picture with half the rows.

    With an odd number of them the scale is still 1/2, and the last row reaches over the border.
    """
    d = np.abs(np.arange(-3.5, 4) / 2)
    taps = np.where(d <= 1, 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2)
    taps /= taps.sum()
    padded = np.pad(y, [(3, 4), (0, 0)], mode="symmetric")
    count = -(-len(y) // 2)
    return np.asarray(sum(taps[k] * padded[k : k + 2 * count : 2] for k in range(8)))
