"""Alignment of a result and the truth, the same frames and pixels: checked before any full-reference number.

A position is called wrong only where undoing it makes the error clearly smaller, so that blur, noise and invented
texture do not count. A reason is a sentence for a table.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import cv2
import numpy as np

from limpid.metrics.detail import luma

FramePair = tuple[np.ndarray, np.ndarray]

LEAST_SHIFT = 0.3
"""Least shift that is told, in pixels; enlargers that count from corners and from centres of pixels differ by 1.5."""
_GAIN = 0.8
"""Share of itself to which the difference must fall when a shift is undone."""
LEAST_LIKE = 0.5
"""Correlation with the truth when a shift is undone; below it the find was chance."""
_FRAMES = 5
MOST_LATE = 2


class _Find(NamedTuple):
    """A misalignment that was found: what is wrong, and the share of the difference that is left when it is undone."""

    left: float
    reason: str


def misalignment(sr: np.ndarray, gt: np.ndarray) -> str | None:
    """The mistake in frame count, size, time or position of ``sr`` against ``gt`` (uint8 ``t h w 3``), or None."""
    if sr.ndim != 4 or gt.ndim != 4 or not len(sr):
        return f"clips of shape {sr.shape} and {gt.shape} are no frames t h w 3"
    if len(sr) != len(gt):
        return f"the output has {len(sr)} frames, the truth {len(gt)}"
    if sr.shape != gt.shape:
        return f"the output is {sr.shape[2]}x{sr.shape[1]}, the truth {gt.shape[2]}x{gt.shape[1]}: cropped or resized"
    # A late frame of a pan looks shifted, and the other way round: what explains more is the reason.
    finds = [find for find in (_late(sr, gt), _shifted(sr, gt)) if find is not None]
    return min(finds).reason if finds else None


def _late(sr: np.ndarray, gt: np.ndarray) -> _Find | None:
    """A find of frames that belong to another time."""
    count = len(gt)
    if count <= 2 * MOST_LATE:
        return None
    numbers = np.unique(np.linspace(MOST_LATE, count - 1 - MOST_LATE, _FRAMES).round().astype(int))
    unlike = {
        d: _decorrelation([(luma(sr[n]), luma(gt[n - d])) for n in numbers]) for d in range(-MOST_LATE, MOST_LATE + 1)
    }
    best = min(unlike, key=lambda d: unlike[d])
    if best == 0 or not _explains(unlike[best], unlike[0]):
        return None
    frames = f"{abs(best)} frame{'s' * (abs(best) > 1)}"
    return _Find(unlike[best] / unlike[0], f"the output is {frames} {'late' if best > 0 else 'early'}")


def _shifted(sr: np.ndarray, gt: np.ndarray) -> _Find | None:
    """A find of a picture that lies elsewhere.

    It does so as a whole, or in each quarter of its own where it was zoomed (cropped and enlarged again).
    """
    numbers = np.unique(np.linspace(0, len(gt) - 1, _FRAMES).round().astype(int))
    pairs = [(luma(sr[n]), luma(gt[n])) for n in numbers]
    whole = _shift(pairs)
    if whole is not None:
        x, y, left = whole
        return _Find(left, f"the output is shifted by ({x:+.1f}, {y:+.1f}) pixels")
    places = itertools.product(*(_halves(side) for side in gt.shape[1:3]))
    found = [_shift([(a[place], b[place]) for a, b in pairs]) for place in places]
    quarters = [q for q in found if q is not None]
    if len(quarters) < 3:
        return None
    most = max(np.hypot(x, y) for x, y, _ in quarters)
    reason = f"the output is zoomed or cropped: its quarters are shifted by up to {most:.1f} pixels"
    return _Find(max(left for _, _, left in quarters), reason)


def _halves(length: int) -> tuple[slice, slice]:
    return slice(0, length // 2), slice(length - length // 2, length)


def _shift(pairs: list[FramePair]) -> tuple[float, float, float] | None:
    """Median position (x, y) of results against truths in pixels, and what is left of the difference; None for none."""
    shape = pairs[0][0].shape
    if min(shape) < 16:
        return None
    window = cv2.createHanningWindow(shape[::-1], cv2.CV_32F)
    found = [cv2.phaseCorrelate(b - b.mean(), a - a.mean(), window)[0] for a, b in pairs]
    x, y = (float(v) for v in np.median(np.array(found), 0))
    if not np.isfinite([x, y]).all() or np.hypot(x, y) < LEAST_SHIFT or 8 * np.hypot(x, y) > min(shape):
        return None
    margin = int(np.ceil(max(abs(x), abs(y)))) + 2
    inner = (slice(margin, -margin), slice(margin, -margin))
    before = _decorrelation([(a[inner], b[inner]) for a, b in pairs])
    after = _decorrelation([(a[inner], _moved(b, x, y)[inner]) for a, b in pairs])
    return (x, y, after / before) if _explains(after, before) else None


def _moved(picture: np.ndarray, x: float, y: float) -> np.ndarray:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return cv2.warpAffine(picture, matrix, picture.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _explains(after: float, before: float) -> bool:
    return after < _GAIN * before and after < 1 - LEAST_LIKE


def _decorrelation(pairs: list[FramePair]) -> float:
    """Difference of pairs, the mean of ``1 - correlation``: brightness and contrast do not count.

    It is 1 for a picture of one colour.
    """
    return float(np.mean([1 - _correlation(a - a.mean(), b - b.mean()) for a, b in pairs]))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / max(np.sqrt(float((a * a).sum()) * float((b * b).sum())), 1e-6))
