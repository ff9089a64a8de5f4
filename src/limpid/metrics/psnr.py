"""Peak signal to noise ratio."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def psnr(frames: Iterable[np.ndarray], truth: Iterable[np.ndarray]) -> float:
    """PSNR in dB: RGB uint8 frames ``h w 3``, no crop, float64; the mean over frames of each frame's value.

    Identical frames count as infinite. Frame counts and sizes must agree (ValueError).
    """
    values = [_frame_psnr(a, b) for a, b in zip(frames, truth, strict=True)]
    return float(np.mean(values))


def _frame_psnr(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        raise ValueError(f"frames of {a.shape} and {b.shape} cannot be compared")
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))
