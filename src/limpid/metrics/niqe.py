"""NIQE (Mittal, Soundararajan and Bovik 2013): distance of a picture's statistics from those of pristine photos.

Blocks of 96x96 at two scales give 36 numbers each: shapes and widths of the normalised luma and of its products with
neighbours. The statistics of the photos (``niqe_pristine.npz``) are those that basicsr distributes.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from limpid.metrics.fidelity import studio_luma
from limpid.metrics.natural import fit_asymmetric, half, mean_of_sides, normalised, width_of

_BLOCK = 96
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
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
    rows, columns = y.shape[0] // _BLOCK, y.shape[1] // _BLOCK
    if rows * columns < 2:
        raise ValueError(f"NIQE needs two blocks of {_BLOCK}x{_BLOCK} pixels, not {frame.shape[1]}x{frame.shape[0]}")
    y = y[: rows * _BLOCK, : columns * _BLOCK]
    features = np.hstack([_features(y, _BLOCK), _features(half(y), _BLOCK // 2)])
    whole = features[~np.isnan(features).any(1)]
    if len(whole) < 2:
        raise ValueError("NIQE found no two blocks that are not of one colour")
    # sqrt((nu_1 - nu_2)^T ((Sigma_1 + Sigma_2) / 2)^-1 (nu_1 - nu_2))
    pristine = _pristine()
    apart = pristine.mean - np.nanmean(features, 0)
    inverse = np.linalg.pinv((pristine.covariance + np.cov(whole, rowvar=False)) / 2)
    return float(np.sqrt(apart @ inverse @ apart))


@cache
def _pristine() -> _Pristine:
    with np.load(PARAMETERS, allow_pickle=False) as file:
        return _Pristine(file["mu_pris_param"].ravel(), file["cov_pris_param"], file["gaussian_window"])


def _features(y: np.ndarray, block: int) -> np.ndarray:
    """Statistics of blocks: 18 numbers for each, in rows."""
    normal = normalised(y, _pristine().window, cv2.BORDER_REPLICATE)
    places = [(r, c) for r in range(0, y.shape[0], block) for c in range(0, y.shape[1], block)]
    return np.array([_block_features(normal[r : r + block, c : c + block]) for r, c in places])


def _block_features(block: np.ndarray) -> list[float]:
    shape, left, right = _fit(block)
    numbers = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        shape, left, right = _fit(block * np.roll(block, shift, (0, 1)))
        numbers += [shape, mean_of_sides(shape, left, right), left, right]
    return numbers


def _fit(x: np.ndarray) -> tuple[float, float, float]:
    """A fit of an asymmetric generalised Gaussian: its shape and the widths of both sides.

    A side without values has NaN as its width, as basicsr has it.
    """
    shape, left, right = fit_asymmetric(x)
    return shape, width_of(shape, left), width_of(shape, right)
