"""How pictures are to be turned before they are shown: EXIF of cameras, and what HEIC and AVIF say themselves.

OpenCV follows EXIF for pictures without transparency only, and always for TIFF; so it is told to
leave them as they are, and all are turned here.
"""

from __future__ import annotations

import contextlib
import io
import struct

import numpy as np

from limpid.video.heif import heif_of
from limpid.video.image_tags import exif_orientation


def upright(pixels: np.ndarray, data: bytes) -> np.ndarray:
    """Pixels ``h w ...`` as they are stored -> as they are to be shown. ``data``: the whole file; not TIFF."""
    if data[4:8] == b"ftyp":
        with contextlib.suppress(struct.error, ValueError, IndexError):
            if turns := heif_of(io.BytesIO(data), len(data)).turns:
                return _by_properties(pixels, turns)
    return np.ascontiguousarray(by_exif(pixels, exif_orientation(data)))


def by_exif(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """EXIF 2.3, tag 0x0112: where the first row and the first column of what is stored are seen."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def _by_properties(pixels: np.ndarray, turns: tuple[tuple[bytes, int], ...]) -> np.ndarray:
    """ISO 23008-12: ``irot`` counts turns against the clock, ``imir`` 0 exchanges top and bottom, 1 left and right."""
    for kind, value in turns:
        pixels = np.rot90(pixels, value & 3) if kind == b"irot" else np.flip(pixels, value & 1)
    return np.ascontiguousarray(pixels)
