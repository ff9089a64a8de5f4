"""The temporal module that follows every block of the U-Net (UAV section 3.2)."""

from __future__ import annotations

from torch import Tensor, nn

from limpid.networks.temporal.norm import NormScope
from limpid.networks.temporal.resnet import ResnetBlock


class TemporalModule(nn.Module):
    """The temporal module: residual blocks over time and over space, and a 1x1 convolution; added to the input.

    The convolution begins as nothing.
    """

    def __init__(self, channels: int, *, time_channels: int, norm_scope: NormScope = "window") -> None:
        super().__init__()
        self.temporal = ResnetBlock(
            channels, channels, time_channels=time_channels, eps=1e-6, norm_scope=norm_scope, kernels=(5, 3)
        )
        self.spatial = ResnetBlock(channels, channels, time_channels=time_channels, eps=1e-6, norm_scope=norm_scope)
        self.shift_conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, emb: Tensor, num_frames: int) -> Tensor:
        """``x``: ``(b t) c h w`` channels_last; ``emb``: ``b e``, the time embedding after SiLU."""
        h = self.spatial(self.temporal(x, num_frames, emb), num_frames, emb)
        out: Tensor = self.shift_conv(h).add_(x)
        return out
