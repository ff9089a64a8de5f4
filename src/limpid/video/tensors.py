"""From decoded pictures to the tensors that networks see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from limpid.types import VideoFrame

if TYPE_CHECKING:
    from torch import Tensor


def to_tensor(frames: Sequence[VideoFrame]) -> Tensor:
    """RGB of ``t`` frames as ``t 3 h w`` float32 in [0, 1]: 255 or 65535 is 1. Alpha is left out, see `alpha_of`."""
    return _stack(frames, 0, 3)


def alpha_of(frames: Sequence[VideoFrame]) -> Tensor | None:
    """The alpha of ``t`` frames as ``t 1 h w`` float32 in [0, 1], or None when they have none."""
    if not frames or frames[0].pixels.shape[2] < 4:
        return None
    return _stack(frames, 3, 4)


def _stack(frames: Sequence[VideoFrame], first: int, stop: int) -> Tensor:
    import torch

    if not frames:
        raise ValueError("no frames to make a tensor of")
    height, width = frames[0].pixels.shape[:2]
    out = np.empty((len(frames), stop - first, height, width), np.float32)
    for plane, frame in zip(out, frames, strict=True):
        scale = np.float32(np.iinfo(frame.pixels.dtype).max)
        np.divide(frame.pixels[:, :, first:stop].transpose(2, 0, 1), scale, out=plane, dtype=np.float32)
    return torch.from_numpy(out)
