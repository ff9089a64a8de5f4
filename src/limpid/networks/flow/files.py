"""Files of flow networks: one ``model.safetensors`` each, read strictly and kept until it changes; pairs of frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from limpid.types import WeightsError

FLOW_FILE = "model.safetensors"
"""What a converted flow network is called in its folder."""


def flow_file_of(path: Path) -> Path:
    """The file itself, or the one in this folder."""
    return path / FLOW_FILE if path.is_dir() else path


def flow_file_stamp(path: Path) -> int:
    """Tells a file from the one that was there before; 0 where there is none."""
    file = flow_file_of(path)
    return file.stat().st_mtime_ns if file.exists() else 0


def read_flow_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, numbers as float32. Raises WeightsError when it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = flow_file_of(path)
    try:
        return {name: t.float() if t.is_floating_point() else t for name, t in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{file} cannot be read: it is truncated, damaged or missing ({error})") from error


def check_pairs(first: Tensor, second: Tensor) -> None:
    """Raises ValueError unless both hold as many frames of the same size."""
    if first.shape != second.shape:
        raise ValueError(f"frames of {tuple(first.shape)} and {tuple(second.shape)} are no pairs")


@torch.no_grad()
def flow_in_parts(flow_of: Callable[[Tensor, Tensor], Tensor], first: Tensor, second: Tensor, pairs: int) -> Tensor:
    """Flow of many pairs, a few at a time, in float32: ``t 3 h w`` in [0, 1] twice -> ``t 2 h w`` pixels, x first."""
    check_pairs(first, second)
    if len(first) == 0:
        return first.new_zeros(0, 2, *first.shape[-2:], dtype=torch.float32)
    with torch.autocast(first.device.type, enabled=False):
        parts = zip(torch.split(first, pairs), torch.split(second, pairs), strict=True)
        return torch.cat([flow_of(a.float(), b.float()) for a, b in parts])
