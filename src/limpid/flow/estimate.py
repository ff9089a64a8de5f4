"""Estimators of optical flow between frames, behind one call; RAFT and SpyNet are in `limpid.networks.flow`."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from limpid.flow.dis import dis_flow
from limpid.types import LUMA_BT601

_LEAST_SIDE_PX = 24
"""The least side of a picture that DIS can search: smaller ones are enlarged to this first."""


class FlowEstimator(Protocol):
    """Flow from frames to frames: ``first`` and ``second`` are ``t 3 h w`` in [0, 1], pairs in order.

    Returns ``t 2 h w`` in pixels, x first, on the device of ``first``: where each pixel of ``first`` is in ``second``.
    """

    def __call__(self, first: Tensor, second: Tensor) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class DISFlow:
    """Dense inverse search (Kroeger et al. 2016) by OpenCV on luma, on the CPU; needs no weights.

    The search ends at half the resolution it is given. At LR size that is coarse, so frames are enlarged first.
    """

    enlarge: int = 2

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        flows = [self._pair(a, b) for a, b in zip(_luma(first), _luma(second), strict=True)]
        if not flows:
            return first.new_zeros(0, 2, *first.shape[-2:])
        return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).contiguous().to(first.device)

    def _pair(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The flow of one pair: luma ``h w`` in 0..255 -> ``h w 2``."""
        height, width = first.shape
        factor = max(self.enlarge, math.ceil(_LEAST_SIDE_PX / min(height, width)))
        size = (width * factor, height * factor)
        large = [cv2.resize(y, size, interpolation=cv2.INTER_CUBIC) for y in (first, second)]
        flow = cv2.resize(dis_flow(*large), (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(flow / factor, np.float32)


class LastFlows:
    """An estimator that keeps its last answers, for strategies that ask for the flow of the same frames."""

    KEPT = 2
    """Number of answers that are kept: both directions of the same frames."""

    def __init__(self, estimator: FlowEstimator) -> None:
        self.estimator = estimator
        self.answers: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=self.KEPT)

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        for a, b, flow in self.answers:
            if a.shape == first.shape and torch.equal(a, first) and torch.equal(b, second):
                return flow
        self.answers.append((first, second, self.estimator(first, second)))
        return self.answers[-1][2]


def _luma(frames: Tensor) -> list[np.ndarray]:
    """BT.601 luma of ``t 3 h w`` in [0, 1] -> ``h w`` in 0..255 per frame."""
    weights = frames.new_tensor(LUMA_BT601, dtype=torch.float32)
    luma = torch.einsum("tchw,c->thw", frames.float(), weights) * 255
    return list(luma.cpu().numpy())
