"""SpyNet (Ranjan and Black, CVPR 2017): optical flow from coarse to fine, a small network for each level of a pyramid.

Written from facts about the network that BasicVSR and its successors use, which MGLD-VSR compares with RAFT (Table 4);
released weights fit after renaming (`limpid.convert.spynet_keys`). They are for research only, not for commercial use.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.filled import filled_network
from limpid.networks.flow.files import check_pairs, flow_file_of, flow_file_stamp, flow_in_parts, read_flow_file

LEVELS = 6
_MULTIPLE_PX = 32
"""Sides are resized to a multiple of this: five halvings lead to the coarsest level."""
_WIDTHS = (8, 32, 64, 32, 16, 2)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BYTES_PER_PX = 4 * 2 * (64 + 32 + 16)
"""Memory of one pair per pixel: input and output of the widest layer, frames and flow in float32."""
_MOST_BYTES = 512 * 1024**2
_MOST_PAIRS = 16


class SpyNetLevel(nn.ModuleList):
    """One level: what is left of the motion, once the second frame is fetched along the flow so far."""

    def __init__(self) -> None:
        sizes = itertools.pairwise(_WIDTHS)
        super().__init__(nn.Conv2d(before, after, 7, padding=3) for before, after in sizes)

    def forward(self, first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
        """First frame, fetched second frame and flow, ``b 3 h w`` twice and ``b 2 h w`` -> a step of the flow."""
        x = torch.cat([first, second, flow], 1)
        for layer in list(self)[:-1]:
            x = F.relu(layer(x))
        step: Tensor = self[-1](x)
        return step


class SpyNet(nn.Module):
    """The network, with random weights until some are loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(SpyNetLevel() for _ in range(LEVELS))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Flow from ``first`` to ``second``: where each pixel of the one is in the other.

        Args:
            first, second: ``b 3 h w`` in [0, 1], of any size: resized inside to multiples of 32.

        Returns:
            ``b 2 h w``, pixels, x first.

        Raises:
            ValueError: shapes that differ.
        """
        check_pairs(first, second)
        height, width = first.shape[-2:]
        size = [side + -side % _MULTIPLE_PX for side in (height, width)]
        flow = self._from_coarse_to_fine(_pyramid(_resized(first, size)), _pyramid(_resized(second, size)))
        ratio = flow.new_tensor([width / size[1], height / size[0]]).reshape(1, 2, 1, 1)
        return _resized(flow, [height, width]) * ratio

    def _from_coarse_to_fine(self, first: list[Tensor], second: list[Tensor]) -> Tensor:
        flow = torch.zeros_like(first[0][:, :2])
        for number, (level, a, b) in enumerate(zip(self.levels, first, second, strict=True)):
            if number:
                flow = 2 * F.interpolate(flow, scale_factor=2.0, mode="bilinear", align_corners=True)
            flow = flow + level(a, _fetched(b, flow), flow)
        return flow


def _resized(x: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def _pyramid(frames: Tensor) -> list[Tensor]:
    """Frames in the colours of ImageNet, halved again and again, the smallest first."""
    mean, std = (frames.new_tensor(values).reshape(1, 3, 1, 1) for values in (_MEAN, _STD))
    levels = [(frames - mean) / std]
    while len(levels) < LEVELS:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels[::-1]


def _fetched(x: Tensor, flow: Tensor) -> Tensor:
    """``x`` fetched along the flow, bilinear; beyond the border is what is at the border."""
    height, width = x.shape[-2:]
    rows = torch.arange(height, device=x.device, dtype=x.dtype).reshape(1, height, 1)
    columns = torch.arange(width, device=x.device, dtype=x.dtype).reshape(1, 1, width)
    along_x = 2 * (columns + flow[:, 0]) / max(width - 1, 1) - 1
    along_y = 2 * (rows + flow[:, 1]) / max(height - 1, 1) - 1
    return F.grid_sample(x, torch.stack([along_x, along_y], -1), padding_mode="border", align_corners=True)


def load_spynet(path: Path) -> SpyNet:
    """The network of a converted file or the folder it is in, float32, in evaluation mode, without gradients.

    Raises:
        WeightsError: the file is missing, damaged, or does not fit the network.
    """
    with torch.device("meta"):
        network = SpyNet()
    return filled_network(network, read_flow_file(path), str(flow_file_of(path)), "SpyNet")


@dataclass(frozen=True)
class SpyNetFlow:
    """SpyNet as a `limpid.flow.estimate.FlowEstimator`, on the device of the frames, float32.

    ``path``: see `load_spynet`; the file is read at the first call (WeightsError) and kept for the next ones.
    """

    path: Path

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """``first`` and ``second``: ``t 3 h w`` in [0, 1], pairs in order -> ``t 2 h w`` pixels, x first."""
        height, width = first.shape[-2:]
        pairs = max(1, min(_MOST_PAIRS, _MOST_BYTES // (_BYTES_PER_PX * height * width)))
        return flow_in_parts(_kept_network(self.path, flow_file_stamp(self.path), first.device), first, second, pairs)


@lru_cache(maxsize=2)
def _kept_network(path: Path, stamp: int, device: torch.device) -> SpyNet:
    return load_spynet(path).to(device)
