"""Optical flow between the neighbouring LR frames of a lane, computed once and put on other grids where needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limpid.flow.estimate import FlowEstimator
from limpid.method import LaneContext


@dataclass
class LaneFlows:
    """State of one lane: flows of its LR frames, ``t-1 2 h w`` in LR pixels, and what a strategy made of them.

    ``forward[i]`` stands on the grid of frame i and leads to frame i + 1; ``backward[i]`` stands on the grid of frame
    i + 1 and leads to frame i.
    """

    forward: Tensor
    backward: Tensor
    ready: Any = None
    """Flows as the strategy needs them: on the grid of the latent, with masks; known when the first latent is."""


def lane_flows(context: LaneContext, estimator: FlowEstimator) -> LaneFlows | None:
    """Flows of a lane's LR frames in both directions, for all pairs of neighbours; None for a single frame."""
    if len(context.lr) == 1:
        return None
    first, second = context.lr[:-1], context.lr[1:]
    return LaneFlows(estimator(first, second), estimator(second, first))
