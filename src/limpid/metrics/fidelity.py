"""PSNR, SSIM and MS-SSIM against the truth, per frame, in float64; frames are RGB uint8 ``h w 3``, nothing cropped."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales of MS-SSIM (Wang, Simoncelli and Bovik 2003), finest first."""
WINDOW = 11
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(frames: Iterable[np.ndarray], truth: Iterable[np.ndarray]) -> float:
    """PSNR in dB: RGB uint8 frames ``h w 3``, no crop, float64; the mean over frames of each frame's value.

    Identical frames count as infinite. Frame counts and sizes must agree (ValueError).
    """
    values = [frame_psnr(a, b) for a, b in zip(frames, truth, strict=True)]
    return float(np.mean(values))


def frame_psnr(a: np.ndarray, b: np.ndarray) -> float:
    """PSNR in dB of two pictures with values 0..255, of any equal shape (ValueError); infinite if identical."""
    if a.shape != b.shape:
        raise ValueError(f"frames of {a.shape} and {b.shape} cannot be compared")
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def studio_luma(frame: np.ndarray) -> np.ndarray:
    """Y as MATLAB's ``rgb2ycbcr``: RGB 0..255 ``h w 3`` -> ``h w`` in 16..235, float64, not rounded."""
    return np.asarray(16 + frame.astype(np.float64) @ (np.array([65.481, 128.553, 24.966]) / 255))


def frame_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM of two pictures, ``h w`` or ``h w c`` in 0..255: Gaussian 11x11, sigma 1.5, valid windows, mean of channels.

    Raises ValueError for shapes that differ or sides below 11.
    """
    return float(np.mean([_similarity(x, y)[0] for x, y in _channels(a, b, WINDOW)]))


def frame_ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """MS-SSIM over five scales, halved by 2x2 means, valid windows; the mean of the channels.

    Raises ValueError for shapes that differ or sides of 160 and less. Negative terms count as 0.
    """
    return float(np.mean([_multi_scale(x, y) for x, y in _channels(a, b, 16 * (WINDOW - 1) + 1)]))


def _multi_scale(a: np.ndarray, b: np.ndarray) -> float:
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        full, structure = _similarity(a, b)
        last = scale == len(SCALE_WEIGHTS) - 1
        product *= max(full if last else structure, 0.0) ** weight
        a, b = _halved(a), _halved(b)
    return product


def _channels(a: np.ndarray, b: np.ndarray, least: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    if a.shape != b.shape:
        raise ValueError(f"frames of {a.shape} and {b.shape} cannot be compared")
    if min(a.shape[:2]) < least:
        raise ValueError(f"frames of {a.shape[1]}x{a.shape[0]} are too small: both sides must be at least {least}")
    x, y = (np.moveaxis(np.atleast_3d(p), 2, 0).astype(np.float64) for p in (a, b))
    return zip(x, y, strict=True)


@cache
def _kernel() -> np.ndarray:
    return cv2.getGaussianKernel(WINDOW, 1.5)


def _blurred(x: np.ndarray) -> np.ndarray:
    """Gaussian means over windows that lie inside the picture."""
    half = WINDOW // 2
    return cv2.sepFilter2D(x, cv2.CV_64F, _kernel(), _kernel())[half:-half, half:-half]


def _similarity(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Means over the picture of SSIM and of its contrast and structure terms alone."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    structure = (2 * (_blurred(a * b) - mean_a * mean_b) + C2) / (var_a + var_b + C2)
    light = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return float((light * structure).mean()), float(structure.mean())


def _halved(x: np.ndarray) -> np.ndarray:
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return np.asarray(x[:h, :w].reshape(h // 2, 2, w // 2, 2).mean((1, 3)))
