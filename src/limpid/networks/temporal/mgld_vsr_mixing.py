"""A convolution over time that a learned number mixes into its input, as MGLD-VSR has it in U-Net and decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limpid.networks.temporal.layout import mixed
from limpid.networks.temporal.resnet import TemporalConv


class TemporalMixing(nn.Module):
    """A mixed 1D convolution over time, ``alpha conv(x) + (1 - alpha) x``, of three frames (MGLD sections 3.3 and 4.1).

    ``alpha`` is a plain number, not the sigmoid of one. Made anew it is 0, which leaves the image network as it was.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = TemporalConv(channels, channels, 3)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """``(b t) c h w`` in channels_last memory to the same, a new tensor; zeros before and after each clip."""
        return mixed(x, self.conv(x, num_frames), self.alpha)
