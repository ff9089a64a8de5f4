"""Group norm of frames that are folded into the batch, its statistics pooled over a window or taken per frame."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

NormScope = Literal["window", "frame"]
"""The frames over which a norm pools: released video checkpoints need ``window``; per ``frame``, idle temporal layers
leave exactly the image network."""


FEW_PLACES = 64
"""Most places of a picture whose statistics are worked out in the other layout: torch's kernel for channels_last
subtracts squares, which leaves few digits of the variance of a few numbers."""


class WindowGroupNorm(nn.GroupNorm):
    """Group norm that knows which frames belong together; its parameters are those of ``nn.GroupNorm``."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, norm_scope: NormScope = "window") -> None:
        super().__init__(num_groups, num_channels, eps)
        self.norm_scope = norm_scope

    def forward(self, x: Tensor, num_frames: int = 1) -> Tensor:
        """``(b t) c h w`` to the same, channels_last; ``num_frames`` is ``t``."""
        pooled = self.pooled(x, num_frames)
        if torch.is_grad_enabled() and x.is_cpu and not x.requires_grad:
            # The backward pass of torch 2.13 crashes on channels_last input that itself needs no gradient.
            pooled = pooled.detach().requires_grad_()
        if pooled.shape[-2] * pooled.shape[-1] <= FEW_PLACES:
            pooled = pooled.contiguous()
        # not torch.nn.functional's, which refuses groups of one number
        normed = torch.group_norm(pooled, self.num_groups, self.weight, self.bias, self.eps)
        if pooled.shape[0] != x.shape[0]:
            normed = torch.unflatten(normed, 2, (num_frames, -1)).transpose(1, 2).flatten(0, 1)
        return normed.contiguous(memory_format=torch.channels_last)

    def pooled(self, x: Tensor, num_frames: int) -> Tensor:
        """A view of ``x`` whose batch are places with common statistics: ``b c (t h) w``, or ``x`` itself per frame."""
        x = x.contiguous(memory_format=torch.channels_last)
        if self.norm_scope == "frame" or num_frames == 1:
            return x
        n, c, h, w = x.shape
        # Through the order of the memory: only so are the strides of a batch of one those of channels_last.
        return x.permute(0, 2, 3, 1).reshape(n // num_frames, num_frames * h, w, c).permute(0, 3, 1, 2)
