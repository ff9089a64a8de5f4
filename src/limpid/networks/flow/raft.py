"""RAFT (Teed and Deng, ECCV 2020): optical flow by a recurrent network over the correlation of all pairs of pixels.

Written from the paper; released weights fit after renaming (`limpid.convert.raft_keys`). The small network is the
one of the paper's appendix.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.filled import filled_network
from limpid.networks.flow.files import check_pairs, flow_file_of, flow_file_stamp, flow_in_parts, read_flow_file
from limpid.networks.flow.raft_blocks import (
    CORRELATION_LEVELS,
    ConvGRU,
    Correlation,
    Head,
    MotionEncoder,
    RAFTEncoder,
    correlation_bytes,
    upsample_bilinear,
    upsample_convex,
)

RAFTSize = Literal["large", "small"]
_LEAST_SIDE_PX = 128
"""Least side of a picture: at 1/8 of it, after three halvings, two pixels are left, between which positions lie."""
CORRELATION_BYTES = 512 * 1024**2
"""Memory for the dot products of a call; larger pictures have them computed in parts, at each iteration anew."""
MOST_PAIRS = 8


class RAFT(nn.Module):
    """The network, with random weights until some are loaded. Batch norms are meant to be used in evaluation mode."""

    def __init__(self, size: RAFTSize = "large") -> None:
        super().__init__()
        self.size: RAFTSize = size
        self.correlation_bytes = CORRELATION_BYTES
        if size == "large":
            self._make_large()
        else:
            self._make_small()
        self.eval()

    def _make_large(self) -> None:
        self.hidden, self.radius = 128, 4
        self.features = RAFTEncoder((64, 64, 96, 128), 256, "instance", narrow=False)
        self.context = RAFTEncoder((64, 64, 96, 128), 256, "batch", narrow=False)
        self.motion = MotionEncoder(CORRELATION_LEVELS * 81, (256, 192), (128, 64), 128)
        self.gru1 = ConvGRU(128, 256, (1, 5))
        self.gru2: ConvGRU | None = ConvGRU(128, 256, (5, 1))
        self.flow_head = Head(128, 256, 2, 3)
        self.mask_head: Head | None = Head(128, 256, 9 * 64, 1)

    def _make_small(self) -> None:
        self.hidden, self.radius = 96, 3
        self.features = RAFTEncoder((32, 32, 64, 96), 128, "instance", narrow=True)
        self.context = RAFTEncoder((32, 32, 64, 96), 160, "none", narrow=True)
        self.motion = MotionEncoder(CORRELATION_LEVELS * 49, (96,), (64, 32), 82)
        self.gru1 = ConvGRU(96, 146, 3)
        self.gru2 = None
        self.flow_head = Head(96, 128, 2, 3)
        self.mask_head = None

    def forward(self, first: Tensor, second: Tensor, iterations: int = 20) -> Tensor:
        """Flow from ``first`` to ``second``: where each pixel of the one is in the other.

        Args:
            first, second: ``b 3 h w`` in [-1, 1], of any size: padded inside to a multiple of 8 and at least 128.
            iterations: updates of the flow, at least 1.

        Returns:
            ``b 2 h w``, pixels, x first.

        Raises:
            ValueError: shapes that differ, or no iteration.
        """
        if iterations < 1:
            raise ValueError(f"RAFT needs at least one iteration, not {iterations}")
        check_pairs(first, second)
        height, width = first.shape[-2:]
        left, right, top, bottom = (*_padding(width), *_padding(height))
        first, second = (F.pad(x, (left, right, top, bottom), mode="replicate") for x in (first, second))
        flow = self._padded_flow(first, second, iterations)
        return flow[..., top : top + height, left : left + width].contiguous()

    def _padded_flow(self, first: Tensor, second: Tensor, iterations: int) -> Tensor:
        # RAFT section 3.1: features of both frames, context of the first
        one, two = self.features(torch.cat([first, second])).chunk(2)
        correlation = Correlation(one, two, self.radius, self.correlation_bytes)
        # RAFT section 3.3: h begins as a half of the context, the other half goes into every update
        known = self.context(first)
        hidden, context = torch.tanh(known[:, : self.hidden]), F.relu(known[:, self.hidden :])
        here = _positions(one)
        flow = torch.zeros_like(here)
        for _ in range(iterations):
            # Gradients of a step do not reach the positions that the step before has found (RAFT section 3.3).
            flow = flow.detach()
            hidden = self._update(hidden, context, correlation(here + flow), flow)
            flow = flow + self.flow_head(hidden)
        if self.mask_head is None:
            return upsample_bilinear(flow)
        return upsample_convex(flow, 0.25 * self.mask_head(hidden))

    def _update(self, hidden: Tensor, context: Tensor, correlation: Tensor, flow: Tensor) -> Tensor:
        x = torch.cat([context, self.motion(correlation, flow)], 1)
        hidden = self.gru1(hidden, x)
        return hidden if self.gru2 is None else torch.as_tensor(self.gru2(hidden, x))


def _padding(side: int) -> tuple[int, int]:
    """Pixels that a side is padded by before and after."""
    more = max(-side % 8, _LEAST_SIDE_PX - side)
    return more // 2, more - more // 2


def _positions(like: Tensor) -> Tensor:
    """The position of each pixel, ``b 2 h w``, x first."""
    b, _, h, w = like.shape
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack([x, y]).to(like).expand(b, 2, h, w)


# ---------------------------------------------------------------------------------------------- loading


def load_raft(path: Path) -> RAFT:
    """The network of a converted file, float32, in evaluation mode, without gradients.

    Args:
        path: ``model.safetensors`` with our names, or the folder it is in; large or small is told by its tensors.

    Raises:
        WeightsError: the file is missing, damaged, or does not fit the network.
    """
    state = read_flow_file(path)
    with torch.device("meta"):
        network = RAFT(raft_size_of(set(state)))
    return filled_network(network, state, str(flow_file_of(path)), f"RAFT ({network.size})")


def raft_size_of(names: set[str]) -> RAFTSize:
    """The size of a network by the names of its tensors: only the small one has three convolutions in a block."""
    return "small" if any(".conv3." in name for name in names) else "large"


# ---------------------------------------------------------------------------------------------- estimator


@dataclass(frozen=True)
class RAFTFlow:
    """RAFT as a `limpid.flow.estimate.FlowEstimator`, on the device of the frames, float32.

    ``path``: see `load_raft`; the file is read at the first call (WeightsError) and kept for the next ones.
    """

    path: Path
    iterations: int = 20

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """``first`` and ``second``: ``t 3 h w`` in [0, 1], pairs in order -> ``t 2 h w`` pixels, x first."""
        network = _kept_network(self.path, flow_file_stamp(self.path), first.device)

        def flow_of(a: Tensor, b: Tensor) -> Tensor:
            flow: Tensor = network(2 * a - 1, 2 * b - 1, self.iterations)
            return flow

        return flow_in_parts(flow_of, first, second, pairs_at_once(*first.shape[-2:]))


def pairs_at_once(height: int, width: int) -> int:
    """Pairs of frames of this size that go through the network together, by the memory of their correlation."""
    pixels = (sum(_padding(height)) + height) * (sum(_padding(width)) + width) // 64
    targets = sum(pixels // 4**level for level in range(CORRELATION_LEVELS))
    return max(1, min(MOST_PAIRS, CORRELATION_BYTES // correlation_bytes(pixels, targets)))


@lru_cache(maxsize=2)
def _kept_network(path: Path, stamp: int, device: torch.device) -> RAFT:
    return load_raft(path).to(device)
