"""Convolutions over time on frames that are folded into the batch.

Networks keep frames as ``(b t) c h w`` in channels_last memory, that is ``b t h w c``. The same memory, read as
``b c t h w``, is channels_last_3d, so going from one to the other copies nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def as_clips(frames: Tensor, num_frames: int) -> Tensor:
    """``(b t) c h w`` as ``b c t h w``, a view. Raises ValueError when the frames do not make whole clips."""
    if num_frames < 1 or frames.shape[0] % num_frames:
        raise ValueError(f"{frames.shape[0]} frames are not whole clips of {num_frames}")
    return torch.unflatten(frames, 0, (-1, num_frames)).transpose(1, 2)


def as_frames(clips: Tensor) -> Tensor:
    """``b c t h w`` as ``(b t) c h w``; a view when the memory is channels_last_3d."""
    return clips.transpose(1, 2).flatten(0, 1)


def convolve_clip(frames: Tensor, num_frames: int, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A convolution over time and space, zero padded so that sizes stay: ``(b t) c h w`` to ``(b t) d h w``.

    ``weight``: ``d c kt kh kw``, odd sizes. A clip of one frame meets zeros before and after, so there only the middle
    of the kernel is computed.
    """
    rows, columns = weight.shape[3] // 2, weight.shape[4] // 2
    frames = frames.contiguous(memory_format=torch.channels_last)
    if num_frames == 1:
        return F.conv2d(frames, middle(weight), bias, padding=(rows, columns))
    padding = (weight.shape[2] // 2, rows, columns)
    clips = F.conv3d(as_clips(frames, num_frames), weight, bias, padding=padding)
    return as_frames(clips).contiguous(memory_format=torch.channels_last)


def middle(weight: Tensor) -> Tensor:
    """The part ``d c kh kw`` of a kernel ``d c kt kh kw`` that looks at the frame itself."""
    return weight[:, :, weight.shape[2] // 2]
