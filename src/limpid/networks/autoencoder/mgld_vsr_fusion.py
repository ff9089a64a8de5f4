"""Controllable feature warping (CFW): a decoder's features corrected by those of the encoder, by a weight to choose."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.autoencoder.bands import may_work_in_place
from limpid.networks.autoencoder.blocks import Resnet

GROWTH = 32
DENSE_BLOCKS = 2
_SLOPE = 0.2
"""Slope of the leaky ReLU, and the share of a dense block's result."""


class DenseBlock(nn.Module):
    """Residual dense block (Wang et al. 2018, ESRGAN): five convolutions, each sees the results of all before."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = [GROWTH] * 4 + [channels]
        self.convs = nn.ModuleList(
            [nn.Conv2d(channels + i * GROWTH, width, 3, padding=1) for i, width in enumerate(widths)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """``n c h w`` to the same; ``x`` is not changed."""
        seen = [x]
        for conv in self.convs[:-1]:
            seen.append(F.leaky_relu(conv(torch.cat(seen, dim=1)), _SLOPE))
        return torch.add(x, self.convs[-1](torch.cat(seen, dim=1)), alpha=_SLOPE)


class FeatureFusion(nn.Module):
    """CFW: ``x + w f(encoder features, x)``, ``f`` two residual blocks with dense blocks between (MGLD section 3.3).

    Every frame is by itself.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.first = Resnet(2 * channels, channels, groups, "frame")
        self.dense = nn.ModuleList([DenseBlock(channels) for _ in range(DENSE_BLOCKS)])
        self.last = Resnet(channels, channels, groups, "frame")

    def forward(self, x: Tensor, features: Tensor, weight: float) -> Tensor:
        """``x``, ``features``: ``n c h w``; overwrites ``x`` when autograd is off, frame by frame to save memory."""
        if not may_work_in_place():
            return torch.add(x, self.correction(x, features), alpha=weight)
        for frame, seen in zip(torch.split(x, 1), torch.split(features, 1), strict=True):
            frame.add_(self.correction(frame, seen), alpha=weight)
        return x

    def correction(self, x: Tensor, features: Tensor) -> Tensor:
        """The correction f(e, x) that is added at weight 1, ``n c h w``."""
        h = self.first(torch.cat((features, x), dim=1), 1)
        for block in self.dense:
            h = block(h)
        return cast(Tensor, self.last(h, 1))
