"""Operations of the steps of a pipeline on one frame: pure functions of pixels and parameters.

Frames are RGB ``h w 3``, uint8 or float32 in 0..255. Number formats between the steps are those of the original: 8 bit
after JPEG, where OpenCV rounds; float32 elsewhere, not clipped.
"""

from __future__ import annotations

import cv2
import numpy as np

from limpid.types import LUMA_BT601

INTERPOLATION = {"bilinear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "bicubic": cv2.INTER_CUBIC}
_GRAY = np.array(LUMA_BT601, np.float32)


def unsharp(frame: np.ndarray, *, size: int = 51, weight: float = 0.5, threshold: float = 10.0) -> np.ndarray:
    """Unsharp masking where the detail exceeds ``threshold`` levels, blended softly; float32 in 0..255.

    The standard deviation follows from the size by OpenCV's rule (51 -> 8.0). RealBasicVSR and Real-ESRGAN make their
    inputs from sharpened ground truth, and compare with it in most of their losses.
    """
    wide = np.asarray(frame, np.float32)
    detail = wide - _gaussian(wide, size)
    soft = _gaussian((np.abs(detail) > threshold).astype(np.float32), size)
    return np.asarray(wide + soft * (np.clip(wide + weight * detail, 0, 255) - wide))


def _gaussian(frame: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(frame, (size, size), 0, borderType=cv2.BORDER_REFLECT_101))


def blur(frame: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Blur: correlation with a kernel, edges mirrored; the number format stays."""
    return np.asarray(cv2.filter2D(frame, -1, kernel, borderType=cv2.BORDER_REFLECT_101))


def resize_frame(frame: np.ndarray, height: int, width: int, how: str) -> np.ndarray:
    """OpenCV's resize; ``how`` is in `INTERPOLATION`. Only ``area`` has an antialiasing filter, as in the original."""
    return np.asarray(cv2.resize(frame, (width, height), interpolation=INTERPOLATION[how]))


def gaussian_noise(frame: np.ndarray, sigma: float, *, gray: bool, random: np.random.Generator) -> np.ndarray:
    """Adds normal noise, ``sigma`` in levels of 255, the same for all channels if ``gray``; float32, not clipped."""
    shape = (*frame.shape[:2], 1 if gray else 3)
    return np.asarray(frame + np.float32(sigma) * random.standard_normal(shape, np.float32), np.float32)


def poisson_noise(
    frame: np.ndarray, scale: float, *, gray: bool, white: float, random: np.random.Generator
) -> np.ndarray:
    """Adds shot noise, ``scale`` times as strong as that of a sensor; float32, not clipped.

    A level counts for ``levels / white`` photons, where ``levels`` is the number of different values in the frame,
    rounded up to a power of 2. ``white`` is 1 in RealBasicVSR, which reads frames in 0..255, and 255 in Real-ESRGAN,
    where the same formula reads them in 0..1: its noise is sixteen times as strong.
    """
    source = np.asarray(frame, np.float32)
    source = (source @ _GRAY)[..., None] if gray else source
    source = np.clip(np.rint(source), 0, 255)
    levels = 2.0 ** np.ceil(np.log2(np.count_nonzero(np.bincount(source.astype(np.uint8).ravel()))))
    gain = levels / white
    noise = (random.poisson(source * gain) / gain).astype(np.float32) - source
    return np.asarray(frame + np.float32(scale) * noise, np.float32)


def jpeg(frame: np.ndarray, quality: int, *, swapped: bool = False) -> np.ndarray:
    """JPEG there and back, 4:2:0; uint8. ``swapped`` takes red for blue, as RealBasicVSR does."""
    pixels = to_bytes(frame)
    ok, data = cv2.imencode(".jpg", pixels if swapped else pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    assert ok
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return decoded if swapped else np.ascontiguousarray(decoded[..., ::-1])


def to_bytes(frame: np.ndarray) -> np.ndarray:
    """A frame as uint8, rounded and clipped."""
    return frame if frame.dtype == np.uint8 else np.clip(np.rint(frame), 0, 255).astype(np.uint8)
