"""An installed flow network as metrics use it: frames as numpy arrays, on the processor."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from limpid.flow.installed import FlowWeights
from limpid.metrics.flows import FlowMethod


def network_flow(weights: FlowWeights) -> FlowMethod:
    """The network of these weights, which are read at the first pair of frames."""
    estimator = weights.estimator()

    def flow(first: Tensor, second: Tensor) -> np.ndarray:
        return np.asarray(estimator(first, second)[0].permute(1, 2, 0).contiguous().numpy())

    return FlowMethod(weights.named(), _tensor, flow)


def _tensor(frame: np.ndarray) -> Tensor:
    """RGB uint8 ``h w 3`` -> ``1 3 h w`` in [0, 1]."""
    return torch.from_numpy(np.array(frame, np.float32)).permute(2, 0, 1)[None] / 255
