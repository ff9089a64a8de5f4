"""Clips from photos: a virtual camera pans, zooms and turns over a still picture, so the motion is known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraPath:
    """A camera that moves over a photo at constant speed, with a little shake.

    ``center``: where the camera looks in the first frame, in photo pixels (x, y). ``velocity``: photo pixels per frame.
    ``zoom``: output pixels per photo pixel. ``zoom_rate`` and ``turn_rate``: change per frame (factor, radians).
    ``shake``: standard deviation of the hand's tremble, photo pixels.
    """

    center: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    zoom_rate: float = 1.0
    angle: float = 0.0
    turn_rate: float = 0.0
    shake: float = 0.0

    def matrix(self, frame: int, width: int, height: int, tremble: np.ndarray) -> np.ndarray:
        """2x3 affine map from output pixels to photo pixels for one frame."""
        scale = 1.0 / (self.zoom * self.zoom_rate**frame)
        theta = self.angle + self.turn_rate * frame
        a, b = scale * np.cos(theta), scale * np.sin(theta)
        x = self.center[0] + self.velocity[0] * frame + tremble[0]
        y = self.center[1] + self.velocity[1] * frame + tremble[1]
        cx, cy = (width - 1) / 2, (height - 1) / 2
        return np.array([[a, -b, x - a * cx + b * cy], [b, a, y - b * cx - a * cy]])


def photo_clip(
    photo: np.ndarray, path: CameraPath, *, num_frames: int, width: int, height: int, seed: int = 0
) -> np.ndarray:
    """Film a photo.

    Args:
        photo: RGB uint8, ``h w 3``. Reduce it beforehand when the camera zooms out: the sampling is
            Lanczos without a prefilter.
        seed: fixes the tremble.

    Returns:
        RGB uint8, ``num_frames height width 3``; outside of the photo its mirror image is seen.
    """
    tremble = np.random.default_rng(seed).normal(0.0, 1.0, (num_frames, 2)) * path.shake
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return np.stack(
        [
            cv2.warpAffine(
                photo,
                path.matrix(index, width, height, tremble[index]),
                (width, height),
                flags=flags,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            for index in range(num_frames)
        ]
    )
