"""Maps ``n c h w`` in channels_last and tokens ``n (h w) c``: one memory, two readings; and mixing one into another."""

from __future__ import annotations

import torch
from torch import Tensor


def as_tokens(maps: Tensor) -> Tensor:
    """Maps ``n c h w`` as tokens ``n (h w) c``; a view when the maps are channels_last."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


def as_maps(tokens: Tensor, height: int, width: int) -> Tensor:
    """Tokens ``n (h w) c`` as maps ``n c h w``, channels_last; a view."""
    return tokens.view(len(tokens), height, width, -1).permute(0, 3, 1, 2)


def channels_last(maps: Tensor) -> Tensor:
    """Maps in channels_last memory; nothing is done when they are."""
    return maps.contiguous(memory_format=torch.channels_last)


def mixed(x: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """``x + share (other - x)`` in the number format of ``x``.

    Under autocast layers compute in bfloat16 while a learned ``share`` stays in float32; ``lerp`` wants one format.
    """
    return torch.lerp(x, other.to(x.dtype), share.to(x.dtype))
