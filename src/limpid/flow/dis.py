"""Dense inverse search flow (Kroeger et al. 2016) by OpenCV, on arrays; needs no weights."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np


def dis_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """DIS flow from ``first`` to ``second``: luma ``h w`` in 0..255 -> ``h w 2`` pixels, x first.

    It says where each pixel of ``first`` is found in ``second``.
    """
    create = cast(Any, cv2).DISOpticalFlow_create  # OpenCV's type stubs lack it
    estimator = create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def levels(y: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(np.rint(y), 0, 255), np.uint8)

    return np.asarray(estimator.calc(levels(first), levels(second), None))


def warp_image(
    image: np.ndarray, flow: np.ndarray, interpolation: int = cv2.INTER_LANCZOS4, *, top: int = 0, left: int = 0
) -> np.ndarray:
    """Fetch ``image`` along ``flow``: out(x) = image(x + flow(x)); ``h w`` or ``h w c``, border replicated.

    ``flow`` may be that of a part of the picture, whose first pixel lies at ``top`` and ``left``.
    """
    h, w = flow.shape[:2]
    x, y = np.meshgrid(np.arange(left, left + w, dtype=np.float32), np.arange(top, top + h, dtype=np.float32))
    return cv2.remap(
        image.astype(np.float32, copy=False),
        x + flow[..., 0],
        y + flow[..., 1],
        interpolation,
        borderMode=cv2.BORDER_REPLICATE,
    )


def visible_in_both(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """The mask ``h w`` of pixels whose flow is trusted: consistent both ways, no motion boundary, inside the picture.

    The thresholds are those of Lai et al. (ECCV 2018), in pixels, so they depend on the resolution.
    """

    def square(v: np.ndarray) -> np.ndarray:
        return np.asarray((v**2).sum(-1))

    # consistent: following both flows comes back
    back = warp_image(backward, forward, cv2.INTER_LINEAR)
    occluded = square(forward + back) > 0.01 * (square(forward) + square(back)) + 0.5
    # motion boundary: the flow changes from pixel to pixel
    dx, dy = np.zeros_like(forward), np.zeros_like(forward)
    dx[:, :-1] = forward[:, :-1] - forward[:, 1:]
    dy[:-1] = forward[:-1] - forward[1:]
    boundary = square(dx) + square(dy) > 0.01 * square(forward) + 0.002
    # inside: the target is a place of the picture
    h, w = occluded.shape
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    x, y = x + forward[..., 0], y + forward[..., 1]
    inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    return np.asarray(~occluded & ~boundary & inside)
