"""Faithfulness of a result to its input (measure M1), and how steady its brightness and colours are beside it.

All compare the result, reduced /4 (antialiased bicubic), with the LR input, so blur gains nothing. Clips are RGB
uint8, ``t 4h 4w 3`` and ``t h w 3``; results are in levels of 255 or dB.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from limpid.metrics.detail import luma, reduce_luma
from limpid.metrics.fidelity import frame_psnr

_BLOCK = 8
"""Edge of a block in LR pixels; means over blocks ignore noise that was removed."""
STILL_LEVELS = 1.0
_LEAST_STILL = 0.1
"""Share of the blocks of a pair of frames that must stand still for the pair to count."""


def lr_psnr(sr: np.ndarray, lr: np.ndarray) -> list[float]:
    """PSNR of luma in dB of each reduced frame against the input; 120 at most, as identity is rounding."""
    return [min(frame_psnr(small, y), 120.0) for small, y in _pairs(sr, lr)]


def block_psnr(sr: np.ndarray, lr: np.ndarray) -> list[float]:
    """PSNR of the means of 8x8 LR pixels, in dB, of each reduced frame against the input.

    Raises ValueError for LR frames smaller than that.
    """
    return [min(frame_psnr(_blocks(small), _blocks(y)), 120.0) for small, y in _pairs(sr, lr)]


def bias(sr: np.ndarray, lr: np.ndarray) -> list[float]:
    """Mean luma of each reduced frame minus that of the input, in levels."""
    return [float((small - y).mean()) for small, y in _pairs(sr, lr)]


def static_flicker(sr: np.ndarray, lr: np.ndarray) -> list[float | None]:
    """Change from frame to frame of blocks (32x32 pixels) that stand still in the input, beyond the input's own change.

    Mean absolute value in levels for each pair of neighbours; None for a pair of which too little stands still. Fine
    texture averages out within a block: that is for measures M3 and M5.
    """
    offsets, looks = [], []
    for small, y in _pairs(sr, lr):
        offsets.append(_blocks(small) - _blocks(y))
        looks.append(_calm(y))
    return [_flicker(*offsets[n : n + 2], *looks[n : n + 2]) for n in range(len(offsets) - 1)]


def _flicker(before: np.ndarray, after: np.ndarray, first: np.ndarray, second: np.ndarray) -> float | None:
    moving = (np.abs(second - first) >= STILL_LEVELS).astype(np.float32)
    still = _blocks(moving) < 0.5 / _BLOCK**2
    return float(np.abs(after - before)[still].mean()) if still.mean() >= _LEAST_STILL else None


def colour_drift(sr: np.ndarray, lr: np.ndarray) -> float:
    """Drift of colours against the input over the clip: levels, of the channel that wanders most.

    Offsets (mean of result minus mean of input, per channel) are averaged over each quarter of the clip, which evens
    out flicker; the value is the largest difference between two quarters. Raises ValueError below four frames.
    """
    if len(sr) < 4:
        raise ValueError("colour drift needs at least four frames")
    offsets = np.array([_mean_colour(a) - _mean_colour(b) for a, b in zip(sr, lr, strict=True)])
    quarters = np.array([part.mean(0) for part in np.array_split(offsets, 4)])
    return float(np.ptp(quarters, axis=0).max())


def _mean_colour(frame: np.ndarray) -> np.ndarray:
    return np.asarray(frame.mean((0, 1), dtype=np.float64))


def _pairs(sr: np.ndarray, lr: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of luma ``h w``: each reduced frame and the input."""
    for frame, small in zip(sr, lr, strict=True):
        yield reduce_luma(luma(frame)), luma(small)


def _blocks(y: np.ndarray) -> np.ndarray:
    h, w = y.shape[0] // _BLOCK, y.shape[1] // _BLOCK
    if not h or not w:
        raise ValueError(f"an input of {y.shape[1]}x{y.shape[0]} has no block of {_BLOCK}x{_BLOCK} pixels")
    return np.asarray(y[: h * _BLOCK, : w * _BLOCK].reshape(h, _BLOCK, w, _BLOCK).mean((1, 3)))


def _calm(y: np.ndarray) -> np.ndarray:
    """Luma without the noise that changes although the scene does not."""
    return cv2.blur(cv2.GaussianBlur(y, (0, 0), 1), (8, 8))
