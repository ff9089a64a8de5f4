"""A photo that no network of ours was trained on, filmed and degraded: fur, harder than most."""

from __future__ import annotations

import numpy as np
from skimage import data

import limpid
from limpid.degrade import CameraPath, Degradation, degrade, photo_clip
from limpid.metrics import detail_stability, input_flows, psnr


def degraded_fur() -> tuple[np.ndarray, np.ndarray]:
    """Five frames, uint8 ``t h w 3``: HR of 256x192, and LR."""
    path = CameraPath(center=(225, 150), velocity=(1.0, 0.5))
    hr = photo_clip(np.ascontiguousarray(data.chelsea()), path, num_frames=5, width=256, height=192)
    return hr, degrade(hr, Degradation(), seed=0)


def by_detail(method: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """PSNR and coherent detail of what a method makes of it at detail 0, 0.5 and 1."""
    hr, lr = degraded_fur()
    flows, errors, coherent = input_flows(list(lr)), [], []
    for detail in (0.0, 0.5, 1.0):
        frames = np.stack(list(limpid.restore(iter(lr), fps=25, method=method, detail=detail, dtype="float32")))
        errors.append(psnr(frames, hr))
        coherent.append(detail_stability(list(frames), flows).coherent_rms)
    return tuple(errors), tuple(coherent)
