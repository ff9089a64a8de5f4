"""Temporal shift, which mixes time without arithmetic: some channels of a frame are those of its neighbours."""

from __future__ import annotations

import torch
from torch import Tensor


def shift_time(x: Tensor, frames: int, channels: int) -> Tensor:
    """Temporal shift (TSM, Lin et al. 2019): the first ``channels`` channels come from the frame before, as many more
    from the frame after.

    At both ends of the clip a frame is its own neighbour, so a clip of identical frames is treated as a picture.
    Written with slice copies because concatenating on the channel axis would lose the channels_last layout.

    Args:
        x: ``(b t) c h w`` with ``t = frames``.
    """
    if frames == 1:
        return x
    clips = x.view(-1, frames, *x.shape[1:])
    out = clips.clone(memory_format=torch.preserve_format)
    out[:, 1:, :channels] = clips[:, :-1, :channels]
    out[:, :-1, channels : 2 * channels] = clips[:, 1:, channels : 2 * channels]
    return out.view(x.shape)


def with_neighbours(x: Tensor, frames: int, channels: int) -> Tensor:
    """Frames with channels of their neighbours behind their own: the first ``channels`` of the frame before, the next
    ``channels`` of the frame after. At both ends of the clip a frame is its own neighbour.

    Args:
        x: ``(b t) c h w`` with ``t = frames``; returns ``(b t) (c + 2 channels) h w`` in channels_last.
    """
    clips = x.view(-1, frames, *x.shape[1:])
    first, second = clips[:, :, :channels], clips[:, :, channels : 2 * channels]
    before, after = torch.cat([first[:, :1], first[:, :-1]], 1), torch.cat([second[:, 1:], second[:, -1:]], 1)
    mixed = torch.cat([clips, before, after], 2).flatten(0, 1)
    return mixed.contiguous(memory_format=torch.channels_last)
