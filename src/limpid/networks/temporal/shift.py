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
