"""How finished frames are held: float32 for those who work on with them, the encoder's own format for files.

A frame in the encoder's format takes a quarter or half of float32, and many of them wait: a chunk's, and those that are
encoded behind the computation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from limpid.video import merge_planes, quantise


@dataclass(frozen=True, kw_only=True)
class FrameFormat:
    """Size and kind of finished frames."""

    height: int
    width: int
    alpha: bool = False
    depth: int | None = None
    """Bits that values are rounded to, 8 to 16; None: float32 in [0, 1]."""

    @property
    def channels(self) -> int:
        return 4 if self.alpha else 3

    @property
    def frame_bytes(self) -> int:
        """Size of one frame."""
        return self.height * self.width * self.channels * value_bytes(self.depth)

    def empty(self, count: int) -> Tensor:
        """``t c H W`` float32, or ``t H W c`` uint8 or uint16, on the CPU."""
        if self.depth is None:
            return torch.empty(count, self.channels, self.height, self.width)
        dtype = torch.uint8 if self.depth == 8 else torch.uint16
        return torch.empty(count, self.height, self.width, self.channels, dtype=dtype)

    def put(self, frame: Tensor, pixels: Tensor, rows: range, columns: range) -> None:
        """Writes ``pixels``, ``c h w`` in [0, 1], into one frame of `empty`. Raises ValueError for NaN."""
        here = (slice(rows.start, rows.stop), slice(columns.start, columns.stop))
        pixels = pixels.to("cpu", torch.float32)
        if self.depth is None:
            frame[(slice(None), *here)] = pixels
        else:
            frame.numpy()[here] = quantise(pixels[None], self.depth, len(rows), len(columns))[0]

    def put_rounded(self, frame: Tensor, planes: Tensor, rows: range, columns: range) -> None:
        """Writes ``planes``, ``3 h w`` uint8, into one frame of `empty` of 8 bits."""
        merge_planes(planes.cpu().numpy(), frame.numpy()[rows.start : rows.stop, columns.start : columns.stop])


def value_bytes(depth: int | None) -> int:
    """Size of one value that is rounded to ``depth`` bits; None: float32."""
    return 4 if depth is None else 1 if depth == 8 else 2
