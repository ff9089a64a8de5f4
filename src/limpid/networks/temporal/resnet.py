"""Residual blocks that look around in space, or in time, in one and the same layout."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.temporal.layout import channels_last
from limpid.networks.temporal.norm import NormScope, WindowGroupNorm


class TemporalConv(nn.Conv3d):
    """A convolution over time alone, kernel ``(k, 1, 1)`` with odd ``k``; time is padded with zeros."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, (kernel_size, 1, 1), padding=(kernel_size // 2, 0, 0))

    def forward(self, x: Tensor, num_frames: int) -> Tensor:  # type: ignore[override]  # frames lie in the batch
        """``(b t) c h w`` channels_last to the same with other channels."""
        kernel = self.weight.squeeze(-1)
        middle = self.kernel_size[0] // 2
        if num_frames == 1:
            # before and after is nothing but padding
            return channels_last(F.conv2d(x, kernel[:, :, middle : middle + 1], self.bias))
        n, c, h, w = x.shape
        # time becomes the height of a picture whose width are all places of a frame
        rows = x.permute(0, 2, 3, 1).reshape(n // num_frames, num_frames, h * w, c).permute(0, 3, 1, 2)
        out = channels_last(F.conv2d(rows, kernel, self.bias, padding=(middle, 0)))
        return out.permute(0, 2, 3, 1).reshape(n, h, w, -1).permute(0, 3, 1, 2)


class ResnetBlock(nn.Module):
    """A residual block: norm, SiLU, convolution, twice, and the input added; the time embedding is added in between.

    ``kernels``: sizes over time of the two convolutions; None makes them 3x3 in space.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        time_channels: int | None,
        groups: int = 32,
        eps: float = 1e-5,
        norm_scope: NormScope = "window",
        kernels: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = WindowGroupNorm(groups, in_channels, eps, norm_scope)
        self.conv1 = _conv(in_channels, out_channels, kernels and kernels[0])
        if time_channels is not None:
            self.time_emb_proj = nn.Linear(time_channels, out_channels)
        self.norm2 = WindowGroupNorm(groups, out_channels, eps, norm_scope)
        self.conv2 = _conv(out_channels, out_channels, kernels and kernels[1])
        if in_channels != out_channels:
            self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1)
        self.over_time = kernels is not None
        self.has_time = time_channels is not None
        self.has_shortcut = in_channels != out_channels

    def forward(self, x: Tensor, num_frames: int, emb: Tensor | None = None) -> Tensor:
        """``x``: ``(b t) c h w`` channels_last; ``emb``: ``b e``, the time embedding after SiLU. A new tensor."""
        return self.shortcut_added(self.residual(x, num_frames, emb), x)

    def residual(self, x: Tensor, num_frames: int, emb: Tensor | None) -> Tensor:
        """The residual that is added to the input."""
        extra: tuple[Any, ...] = (num_frames,) if self.over_time else ()
        h = self.conv1(F.silu(self.norm1(x, num_frames), inplace=True), *extra)
        if self.has_time:
            shift = self.time_emb_proj(emb)[:, None, :, None, None]
            h.unflatten(0, (-1, num_frames)).add_(shift)
        out: Tensor = self.conv2(F.silu(self.norm2(h, num_frames), inplace=True), *extra)
        return out

    def shortcut_added(self, h: Tensor, x: Tensor) -> Tensor:
        """The sum of the residual ``h``, which is written over, and the input of the block."""
        return channels_last(h.add_(self.conv_shortcut(x) if self.has_shortcut else x))


def _conv(in_channels: int, out_channels: int, kernel: int | None) -> nn.Module:
    if kernel is None:
        return nn.Conv2d(in_channels, out_channels, 3, padding=1)
    return TemporalConv(in_channels, out_channels, kernel)
