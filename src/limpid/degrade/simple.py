"""The simple degradation: blur, area downscaling, Gaussian noise, JPEG, H.264; the same parameters for a whole clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from limpid.degrade.ops import jpeg, to_bytes
from limpid.degrade.shrink import area
from limpid.video.roundtrip import codec_roundtrip


@dataclass(frozen=True, kw_only=True, slots=True)
class Degradation:
    """Strengths of the simple degradation. A step whose strength is 0 or None is left out."""

    blur_sigma: float = 1.0
    """Standard deviation of the Gaussian blur, in HR pixels."""
    scale: int = 4
    """HR pixels per LR pixel; area averaging."""
    noise_sigma: float = 5.0
    """Standard deviation of the Gaussian noise on the LR frame, in levels of 255; new in every frame."""
    jpeg_quality: int | None = None
    crf: int | None = 26
    """Rate factor of H.264 (x264), or None."""
    codec: str = "libx264"


def degrade(frames: np.ndarray, how: Degradation, *, seed: int) -> np.ndarray:
    """Degrade a clip simply: HR frames -> LR frames.

    Args:
        frames: RGB uint8, ``t h w 3``; ``h`` and ``w`` multiples of ``how.scale``.
        seed: fixes the noise.

    Returns:
        RGB uint8, ``t h/scale w/scale 3``.

    Raises:
        ValueError: the size is not a multiple of the scale.
    """
    h, w = frames.shape[1:3]
    if h % how.scale or w % how.scale:
        raise ValueError(f"{w}x{h} is not a multiple of the scale {how.scale}: crop the frames first")
    random = np.random.default_rng(seed)
    small = np.stack([area(frame, how.scale, blur_sigma=how.blur_sigma) for frame in frames])
    if how.noise_sigma:
        small = small + random.normal(0.0, how.noise_sigma, small.shape).astype(np.float32)
    out = to_bytes(small)
    if how.jpeg_quality is not None:
        out = np.stack([jpeg(frame, how.jpeg_quality) for frame in out])
    if how.crf is not None:
        return codec_roundtrip(out, codec=how.codec, crf=how.crf)
    return out
