"""Convolutions over time on frames that are folded into the batch.

Networks keep frames as ``(b t) c h w`` in channels_last memory, that is ``b t h w c``. The same memory, read as
``b c t h w``, is channels_last_3d, so going from one to the other copies nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def as_clips(frames: Tensor, num_frames: int) -> Tensor:
    """Frames ``(b t) c h w`` as clips ``b c t h w``, a view.

    Raises ValueError when the frames do not make whole clips.
    """
    if num_frames < 1 or frames.shape[0] % num_frames:
        raise ValueError(f"{frames.shape[0]} frames are not whole clips of {num_frames}")
    return torch.unflatten(frames, 0, (-1, num_frames)).transpose(1, 2)


def as_frames(clips: Tensor) -> Tensor:
    """Clips ``b c t h w`` as frames ``(b t) c h w``; a view when the memory is channels_last_3d."""
    return clips.transpose(1, 2).flatten(0, 1)


def convolve_clip(frames: Tensor, num_frames: int, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A convolution over time and space, zero padded so that sizes stay: ``(b t) c h w`` to ``(b t) d h w``.

    ``weight``: ``d c kt kh kw``, odd sizes. See `convolve_frames`.
    """
    frames = frames.contiguous(memory_format=torch.channels_last)
    return convolve_frames(frames, num_frames, weight, bias, (weight.shape[3] // 2, weight.shape[4] // 2))


def convolve_frames(
    frames: Tensor, num_frames: int, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]
) -> Tensor:
    """A convolution over time and space as a sum of 2-D ones over the taps in time.

    There are zeros before and after each clip, and ``padding`` in space. As fast as a 3-D convolution where torch hands
    that to oneDNN, and ten times faster where it does not (few channels or small pictures, for which it unfolds the
    input). Frames that a tap has no neighbour for are not computed at all.
    """
    reach = weight.shape[2] // 2
    # the tap at the frame itself, then those at its neighbours
    out = F.conv2d(frames, middle(weight), bias, padding=padding)
    sums = as_clips(out, num_frames)
    for shift in (s for s in range(-reach, reach + 1) if 0 < abs(s) < num_frames):
        count, first, last = num_frames - abs(shift), max(shift, 0), max(-shift, 0)
        seen = some_frames(frames, num_frames, first, count)
        part = F.conv2d(seen, weight[:, :, reach + shift], padding=padding)
        sums[:, :, last : last + count] += as_clips(part, count)
    return out


def some_frames(frames: Tensor, num_frames: int, first: int, count: int) -> Tensor:
    """Some frames of each clip, ``count`` from ``first`` on, ``(b count) c h w``; a view of a single clip."""
    if frames.shape[0] == num_frames:
        return frames[first : first + count]  # with strides by which torch still sees the layout of a single frame
    return as_frames(as_clips(frames, num_frames)[:, :, first : first + count])


def middle(weight: Tensor) -> Tensor:
    """The part ``d c kh kw`` of a kernel ``d c kt kh kw`` that looks at the frame itself."""
    return weight[:, :, weight.shape[2] // 2]
