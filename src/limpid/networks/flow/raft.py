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
from limpid.types import WeightsError

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
        if first.shape != second.shape:
            raise ValueError(f"frames of {tuple(first.shape)} and {tuple(second.shape)} are no pairs")
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
            # Gradients of a step do not reach the positions that the step before has found (section 3.3).
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
    file = path / "model.safetensors" if path.is_dir() else path
    state = {name: t.float() if t.is_floating_point() else t for name, t in _read(file).items()}
    with torch.device("meta"):
        network = RAFT(raft_size_of(set(state)))
    wrong = _what_is_wrong(state, network.state_dict())
    if wrong:
        raise WeightsError(f"{file} does not fit RAFT ({network.size}): {wrong}")
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def raft_size_of(names: set[str]) -> RAFTSize:
    """The size of a network by the names of its tensors: only the small one has three convolutions in a block."""
    return "small" if any(".conv3." in name for name in names) else "large"


def _read(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{file} cannot be read: it is truncated, damaged or missing ({error})") from error


def _what_is_wrong(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> str:
    """The mistakes of a file in words: how many tensors do not fit and the first of each kind; empty when all do."""
    shapes = [
        f"{name} is {tuple(found[name].shape)}, not {tuple(t.shape)}"
        for name, t in wanted.items()
        if name in found and found[name].shape != t.shape
    ]
    kinds = {
        "missing": [name for name in wanted if name not in found],
        "not expected": [name for name in found if name not in wanted],
        "of another shape": shapes,
    }
    return "; ".join(f"{len(names)} {kind} (such as {names[0]})" for kind, names in kinds.items() if names)


# ---------------------------------------------------------------------------------------------- estimator


@dataclass(frozen=True)
class RAFTFlow:
    """RAFT as a `limpid.flow.estimate.FlowEstimator`, on the device of the frames, float32.

    ``path``: see `load_raft`; the file is read at the first call (WeightsError) and kept for the next ones.
    """

    path: Path
    iterations: int = 20

    @torch.no_grad()
    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """``first`` and ``second``: ``t 3 h w`` in [0, 1], pairs in order -> ``t 2 h w`` pixels, x first."""
        if len(first) == 0:
            return first.new_zeros(0, 2, *first.shape[-2:], dtype=torch.float32)
        network = _kept_network(self.path, _stamp(self.path), first.device)
        pairs = pairs_at_once(*first.shape[-2:])
        with torch.autocast(first.device.type, enabled=False):
            parts = zip(torch.split(first, pairs), torch.split(second, pairs), strict=True)
            return torch.cat([network(2 * a.float() - 1, 2 * b.float() - 1, self.iterations) for a, b in parts])


def pairs_at_once(height: int, width: int) -> int:
    """Pairs of frames of this size that go through the network together, by the memory of their correlation."""
    pixels = (sum(_padding(height)) + height) * (sum(_padding(width)) + width) // 64
    targets = sum(pixels // 4**level for level in range(CORRELATION_LEVELS))
    return max(1, min(MOST_PAIRS, CORRELATION_BYTES // correlation_bytes(pixels, targets)))


def _stamp(path: Path) -> int:
    """Tells a file from the one that was there before; 0 where there is none."""
    file = path / "model.safetensors" if path.is_dir() else path
    return file.stat().st_mtime_ns if file.exists() else 0


@lru_cache(maxsize=2)
def _kept_network(path: Path, stamp: int, device: torch.device) -> RAFT:
    return load_raft(path).to(device)
