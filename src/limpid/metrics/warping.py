"""Temporal measures of the literature that need no learned weights; frames are RGB uint8 ``t h w 3``.

Warping errors and VBench's temporal flickering are lower (better) for blurred clips than for the truth itself: they are
here for comparison with published numbers and must be read beside a measure of detail.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from limpid.flow import dis_flow, warp_image
from limpid.metrics.detail import luma
from limpid.metrics.flows import FlowMethod, FlowPair, PairFlows


def _farneback(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    start: Any = None  # OpenCV's type stubs want a flow to begin with
    return np.asarray(cv2.calcOpticalFlowFarneback(first, second, start, 0.5, 3, 15, 3, 5, 1.2, 0))


def _grey(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)


DIS = FlowMethod("DIS", luma, dis_flow)
FARNEBACK = FlowMethod("Farneback", _grey, _farneback)


def flows_of(frames: np.ndarray, how: FlowMethod = DIS) -> Sequence[FlowPair]:
    """The flow from each frame to the next and where it is trusted (Lai's masks): ``h w 2``, ``h w``."""
    return PairFlows(frames, how.prepare, how.flow)


def warping_errors(frames: np.ndarray, flows: Sequence[FlowPair]) -> list[float | None]:
    """Lai's warping error: mean squared difference of each frame and the next one fetched along the flow.

    RGB in [0, 1], bilinear, over trusted pixels; None for a pair without any.
    """
    errors: list[float | None] = []
    for (flow, mask), a, b in zip(flows, frames[:-1], frames[1:], strict=True):
        change = (warp_image(b, flow, cv2.INTER_LINEAR) - a) / 255
        errors.append(float((change[mask].astype(np.float64) ** 2).mean()) if mask.any() else None)
    return errors


def warping_l1(frames: np.ndarray, guide: np.ndarray, how: FlowMethod = DIS) -> list[float]:
    """MGLD's warping error: mean absolute difference of each frame and the one before it, fetched along the flow.

    No mask; in levels of 255. ``guide``: frames ``t h w 3`` of the same size, whose flow it is.
    """
    looks = itertools.pairwise(how.prepare(g) for g in guide)
    return [
        float(np.abs(warp_image(a, how.flow(after, before), cv2.INTER_LINEAR) - b).mean())
        for (a, b), (before, after) in zip(itertools.pairwise(frames), looks, strict=True)
    ]


def flow_differences(frames: np.ndarray, truth: np.ndarray, how: FlowMethod = FARNEBACK) -> list[float]:
    """tOF (DC-VSR Eq. 13): mean length of the difference of flows of result and truth, in pixels, nothing cropped.

    Farneback's flow is that of TecoGAN, RAFT's that of DC-VSR.
    """
    pairs = (itertools.pairwise(how.prepare(f) for f in clip) for clip in (frames, truth))
    return [float(np.linalg.norm(how.flow(*sr) - how.flow(*gt), axis=-1).mean()) for sr, gt in zip(*pairs, strict=True)]


def flickering(frames: np.ndarray) -> list[float]:
    """VBench's temporal flickering: ``(255 - mean |difference of neighbours|) / 255`` for each pair, no flow."""
    return [
        float((255 - cv2.absdiff(np.ascontiguousarray(a), np.ascontiguousarray(b)).mean()) / 255)
        for a, b in itertools.pairwise(frames)
    ]
