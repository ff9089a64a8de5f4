"""Residual blocks that are told the structure of the picture by spatially adaptive normalisation (SPADE, Park et al.
2019).

MGLD-VSR has it in every residual block of its U-Net (MGLD section 4.1), as StableSR before it. It is no identity with
zero weights: what it modulates is normalised in any case.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.temporal.norm import WindowGroupNorm
from limpid.networks.temporal.resnet import ResnetBlock

HIDDEN = 128
"""Channels of the hidden layer between structure and modulation."""


class StructureTold(NamedTuple):
    """The condition of one level: what its residual blocks are told."""

    emb: Tensor
    """The time embedding after SiLU, ``b e``."""
    structure: Tensor
    """Features of the structure encoder, ``(b t) s h w``, as large as those of the level."""


class Spade(nn.Module):
    """SPADE: ``norm(h) (1 + gamma) + beta``, gamma and beta convolved from the structure.

    The norm is per frame, with parameters.
    """

    def __init__(self, channels: int, structure_channels: int, groups: int = 32) -> None:
        super().__init__()
        self.norm = WindowGroupNorm(groups, channels, 1e-5, "frame")
        self.shared = nn.Conv2d(structure_channels, HIDDEN, 3, padding=1)
        self.gamma = nn.Conv2d(HIDDEN, channels, 3, padding=1)
        self.beta = nn.Conv2d(HIDDEN, channels, 3, padding=1)

    def forward(self, h: Tensor, structure: Tensor) -> Tensor:
        """``h``: ``(b t) c h w``; ``structure``: ``(b t) s h w``. A new tensor."""
        hidden = F.relu(self.shared(structure), inplace=True)
        return torch.addcmul(self.beta(hidden), self.norm(h), self.gamma(hidden).add_(1))


class SpadeResnetBlock(ResnetBlock):
    """A residual block whose result is modulated by the structure before the input is added; all norms per frame."""

    def __init__(
        self, in_channels: int, out_channels: int, *, time_channels: int, structure_channels: int, groups: int
    ) -> None:
        super().__init__(in_channels, out_channels, time_channels=time_channels, groups=groups, norm_scope="frame")
        self.spade = Spade(out_channels, structure_channels, groups)

    def forward(self, x: Tensor, num_frames: int, told: Any = None) -> Tensor:
        """``x``: ``(b t) c h w`` channels_last; ``told``: a `StructureTold`. A new tensor."""
        h = self.residual(x, num_frames, told.emb)
        return self.shortcut_added(self.spade(h, told.structure), x)
