"""Keys and values that are kept between network calls, and how much memory they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from limpid.attention.layers import sampled_positions
from limpid.method import Bank


class Kept(NamedTuple):
    """Keys and values of one self-attention that other tiles may look at, ``n h tokens d``."""

    keys: Tensor
    values: Tensor

    @property
    def bytes(self) -> int:
        return sum(x.numel() * x.element_size() for x in (self.keys, self.values))


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerSize:
    """The size of one self-attention: rows and columns of the tokens of a tile, and channels of all heads together."""

    height: int
    width: int
    channels: int


def store(bank: Bank, address: object, kept: Kept, device_bytes: int) -> None:
    """Puts an entry into the bank, in the processor's memory where those on the device would exceed ``device_bytes``.

    Where an entry lies changes no value.
    """
    bank.pop(address, None)
    used = sum(entry.bytes for entry in bank.values() if entry.keys.device.type != "cpu")
    if kept.keys.device.type != "cpu" and used + kept.bytes > device_bytes:
        kept = Kept(kept.keys.cpu(), kept.values.cpu())
    bank[address] = kept


def joined_keys(entries: Sequence[Kept]) -> Kept:
    """One entry with the tokens of all ``entries``, in their order; on the processor if one of them is."""
    devices = {entry.keys.device for entry in entries}
    device = devices.pop() if len(devices) == 1 else torch.device("cpu")
    keys, values = (torch.cat([entry[i].to(device) for entry in entries], dim=-2) for i in (0, 1))
    return Kept(keys, values)


def bank_bytes(
    layers: Sequence[LayerSize],
    *,
    spatial_rate: float,
    temporal_frames: int,
    window_frames: int,
    tiles: int,
    branches: int = 2,
    itemsize: int = 2,
) -> dict[str, int]:
    """The most that a bank holds during a step of spatial and of temporal propagation, in bytes, by their names.

    Exact, and independent of how many frames a segment has. ``tiles``: spatial tiles of the canvas; ``branches``:
    network calls that guidance makes of each; ``itemsize``: bytes of a number, 2 for bfloat16. While the tiles of a
    layer are put together there is a second copy of what one branch of that layer holds; it is counted.
    """
    pair = 2 * itemsize
    spatial = [
        pair * window_frames * tiles * _sampled(layer, spatial_rate) * layer.channels if spatial_rate else 0
        for layer in layers
    ]
    temporal = [
        pair * tiles * min(temporal_frames, window_frames) * layer.height * layer.width * layer.channels
        for layer in layers
    ]
    return {
        "spatial": branches * sum(spatial) + max(spatial, default=0),
        "temporal": branches * sum(temporal),
    }


def _sampled(layer: LayerSize, rate: float) -> int:
    return len(sampled_positions(layer.height, rate)) * len(sampled_positions(layer.width, rate))
