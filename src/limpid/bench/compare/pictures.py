"""Pictures for a page: lossless PNG in data URIs, and heat maps."""

from __future__ import annotations

import base64

import cv2
import numpy as np

HEAT_WIDTH = 640


def data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def png_uri(rgb: np.ndarray) -> str:
    """RGB uint8 ``h w 3`` as a data URI."""
    done, data = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR))
    if not done:
        raise RuntimeError("OpenCV could not write a PNG")
    return data_uri(data.tobytes(), "image/png")


def heat_map(difference: np.ndarray, top: float) -> np.ndarray:
    """Differences ``h w`` from 0 (black) to ``top`` (pale yellow) as RGB uint8, at most 640 pixels wide."""
    scale = min(1.0, HEAT_WIDTH / difference.shape[1])
    size = (max(1, round(difference.shape[1] * scale)), max(1, round(difference.shape[0] * scale)))
    small = np.asarray(cv2.resize(difference, size, interpolation=cv2.INTER_AREA))
    return coloured(small / max(top, 1e-6))


def coloured(share: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1] as the colours of the scale "inferno", which also grows evenly in brightness."""
    levels = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB))


def heat_top(differences: list[np.ndarray]) -> float:
    """The end of a scale for several maps: their 99.8th percentile, so that a few pixels do not darken the rest."""
    top = max((float(np.percentile(part, 99.8)) for part in differences), default=0.0)
    return max(top, 1.0)
