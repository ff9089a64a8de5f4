"""The coarse half of multi-scale temporal attention, MSTA (DiffVSR section 3.2; DiffVSR Eq. 2 and 3)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.temporal.attention import TemporalAttention
from limpid.networks.temporal.layout import as_maps, as_tokens, channels_last
from limpid.networks.temporal.positions import FramePositions

WEIGHT = 0.5
"""alpha of DiffVSR Eq. 3, the share of the coarse branch in the sum."""


class CoarseTemporalAttention(nn.Module):
    """Temporal attention at half the height and width: what moves far at full size moves half as far here."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.down_conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(channels)
        self.attn = TemporalAttention(channels, heads)
        self.up_conv = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1)

    def forward(self, tokens: Tensor, positions: FramePositions, size: tuple[int, int]) -> Tensor:
        """``tokens``: ``(b t) (h w) c``, ``size``: ``(h, w)`` -> what is to be added to them, same shape, new."""
        # h_down = TA(norm(h_v)) + h_v, where h_v is h at half the size
        small = channels_last(self.down_conv(as_maps(tokens, *size)))
        coarse = as_tokens(small)
        coarse = self.attn(self.norm(coarse), positions).add_(coarse)
        # alpha UPConv(h_down), which the transformer adds to h_ori
        out = self.up_conv(as_maps(coarse, *small.shape[-2:]))
        if out.shape[-2:] != size:
            # an odd size was rounded up on the way down
            out = F.interpolate(out, size, mode="bilinear", align_corners=False)
        return as_tokens(channels_last(out)).mul_(WEIGHT)
