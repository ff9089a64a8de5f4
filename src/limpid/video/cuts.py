"""Shot boundaries, found while frames stream past; memory does not grow with the length of the video."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

SMALL_WIDTH = 256
"""Frames are shrunk to at most this width before they are compared."""
MIN_SHOT_S = 0.5
_FLASH_S = 0.3
_FLASH_RETURN = 0.4
"""A change begins or ends a flash when the picture before and after it are within this fraction of the jump."""


def small_size(width: int, height: int) -> tuple[int, int]:
    """Size for comparing frames: at most `SMALL_WIDTH` wide, same shape."""
    small = min(width, SMALL_WIDTH)
    return small, max(1, round(height * small / width))


class CutDetector:
    """PySceneDetect's adaptive detector (robust to fast camera motion) without the flashes it takes for cuts.

    Give every frame in order as small ``h w 3`` BGR uint8; `finish` returns the first frames of the shots, 0 included.
    Shots shorter than ``min_shot_s`` are joined with the one before.
    """

    def __init__(self, fps: Fraction, *, min_shot_s: float = MIN_SHOT_S) -> None:
        from scenedetect.common import FrameTimecode
        from scenedetect.detectors import AdaptiveDetector

        self._detector: Any = AdaptiveDetector(min_scene_len=0)
        self._timecode: Any = FrameTimecode
        self._fps = float(fps)
        self._min_shot = max(1, round(min_shot_s * self._fps))
        self._flash = max(1, round(_FLASH_S * self._fps))
        # The detector speaks up to two frames late, and a flash is judged by what follows it.
        self._recent: deque[tuple[int, np.ndarray]] = deque(maxlen=2 * self._flash + 8)
        self._open: deque[int] = deque()
        self._cuts: list[int] = [0]
        self._count = 0

    def push(self, small: np.ndarray) -> None:
        """The next frame."""
        index = self._count
        self._count += 1
        self._recent.append((index, small))
        time = self._timecode(index, self._fps)
        self._open.extend(int(cut.frame_num) for cut in self._detector.process_frame(time, small))
        while self._open and index >= self._open[0] + self._flash:
            self._decide(self._open.popleft())

    def finish(self) -> tuple[int, ...]:
        """First frame of each shot; the detector is used up."""
        while self._open:
            self._decide(self._open.popleft())
        return tuple(self._cuts)

    def _decide(self, cut: int) -> None:
        if cut - self._cuts[-1] >= self._min_shot and not self._is_flash(cut):
            self._cuts.append(cut)

    def _is_flash(self, cut: int) -> bool:
        frames = dict(self._recent)
        if cut - 1 not in frames or cut not in frames:
            return False
        before, after = frames[cut - 1], frames[cut]
        near = _FLASH_RETURN * _distance(before, after)
        later = (frames[i] for i in range(cut + 1, cut + self._flash + 1) if i in frames)
        earlier = (frames[i] for i in range(cut - 1 - self._flash, cut - 1) if i in frames)
        return any(_distance(before, frame) < near for frame in later) or any(
            _distance(after, frame) < near for frame in earlier
        )


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two small frames."""
    if a.shape != b.shape:
        return float("inf")
    return float(np.mean(cv2.absdiff(a, b)))
