"""Finished frames of networks that make what bicubic upscaling misses, patch by patch, without a latent.

What such a network returns of a frame is its residual in patch space; the picture is put together when it is known how
its colours are corrected, a few rows of patches at a time, so that no second copy of it is made in float32.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.priors.tiny import bicubic_reach, bicubic_taps, bicubic_weight
from limpid.video import rounded_values

_BAND_VALUES = 1 << 18
"""Values of finished pixels that are worked on at once: float32 that stays in the processor's cache."""
_LAYOUT = torch.channels_last
_WORDS = {4: torch.int32, 8: torch.int64}
"""As what a row of so many bytes is moved."""


class Patches(Protocol):
    """What a network's configuration says of the patches that it makes."""

    @property
    def patch_px(self) -> int:
        """LR pixels per patch, along one axis."""
        ...

    @property
    def scale(self) -> int: ...


@cache
def shrinking_taps(scale: int) -> tuple[float, ...]:
    """Weights of the LR pixels -2..2 in the area mean of the ``scale`` bicubic pixels of one LR pixel."""
    return tuple(float(tap) for tap in bicubic_taps(scale).mean(dim=0))


def shrunk_bicubic(lr: Tensor, scale: int) -> Tensor:
    """``3 h w`` upscaled bicubically and shrunk again by an area mean: one small filter over LR pixels."""
    for dim, padding in ((-2, (0, 0, 2, 2)), (-1, (2, 2, 0, 0))):
        padded = F.pad(lr[None], padding, mode="replicate")[0]
        size, taps = lr.shape[dim], shrinking_taps(scale)
        lr = padded.narrow(dim, 0, size) * taps[0]
        for offset in range(1, 5):
            lr.add_(padded.narrow(dim, offset, size), alpha=taps[offset])
    return lr


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchFrame:
    """One frame as the network leaves it: the residual in patches. A `limpid.method.DirectFrame`."""

    residual: Tensor
    """``h/p w/p 3(sp)^2`` for patches of ``p`` LR pixels: what is added to the bicubic picture, patch by patch; colour,
    row, column within a patch."""
    lr: Tensor
    """``3 h w`` float32, padded to whole patches."""
    size: tuple[int, int]
    """Height and width of the LR frame."""
    config: Patches

    def shrunk(self) -> Tensor:
        """The picture averaged to LR size, ``3 h w``, not clipped."""
        scale, patch, (rows, columns) = self.config.scale, self.config.patch_px, self.residual.shape[:2]
        fine = self.residual.float().view(rows, columns, 3, patch, scale, patch, scale)
        # Written out, because the order in which `Tensor.mean` adds may depend on the size.
        over_rows = sum_of(fine.unbind(dim=4))
        small = sum_of(over_rows.unbind(dim=5)).div_(scale * scale)
        small = small.permute(2, 0, 3, 1, 4).reshape(3, rows * patch, columns * patch)
        return self._cropped(shrunk_bicubic(self.lr, scale).add_(small), 1)

    def picture(self, correction: Tensor | None) -> Tensor:
        """``3 H W`` float32 in [0, 1]; ``correction`` (``3 h w``) is added to the LR frame before it is upscaled."""
        out = torch.empty_like(self.residual, dtype=torch.float32)
        for band, values in self._bands(correction):
            out[band] = values.clamp_(0.0, 1.0)
        return self._cropped(_unfolded(out, self.config), self.config.scale)

    def rounded(self, correction: Tensor | None) -> Tensor:
        """`picture` in whole steps of 1/255, ``3 H W`` uint8. Raises ValueError for values that are not numbers."""
        if not bool(torch.isfinite(self.residual.sum(dtype=torch.float32))):
            raise ValueError("frames hold values that are not numbers; they are not written")
        out = torch.empty_like(self.residual, dtype=torch.uint8, device="cpu")
        for band, values in self._bands(correction):
            out[band] = torch.from_numpy(rounded_values(values.cpu().numpy()))
        return self._cropped(_unfolded(out, self.config), self.config.scale)

    def _bands(self, correction: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
        """Bicubic picture and residual, a few rows of patches at a time: ``rows w/p c`` float32."""
        patch, (rows, columns, channels) = self.config.patch_px, self.residual.shape
        lr = self.lr if correction is None else self.lr + self._padded(correction)
        reach = bicubic_reach(patch)
        around = F.pad(lr[None], (patch * reach,) * 4, mode="replicate")
        patches = F.pixel_unshuffle(around, patch).contiguous(memory_format=_LAYOUT)
        weight, step = (
            bicubic_weight(self.config.scale, patch).to(patches),
            max(_BAND_VALUES // (columns * channels), 1),
        )
        for start in range(0, rows, step):
            band = slice(start, min(start + step, rows))
            base = F.conv2d(patches[:, :, start : band.stop + 2 * reach], weight)[0].permute(1, 2, 0)
            yield band, base.add_(self.residual[band])

    def _padded(self, small: Tensor) -> Tensor:
        below, right = (whole - own for whole, own in zip(self.lr.shape[-2:], self.size, strict=True))
        return F.pad(small[None], (0, right, 0, below), mode="replicate")[0]

    def _cropped(self, picture: Tensor, scale: int) -> Tensor:
        return picture[:, : self.size[0] * scale, : self.size[1] * scale]


def sum_of(parts: tuple[Tensor, ...]) -> Tensor:
    """Their sum, added in pairs of neighbours."""
    return parts[0] if len(parts) == 1 else sum_of(parts[: len(parts) // 2]) + sum_of(parts[len(parts) // 2 :])


def _unfolded(patches: Tensor, config: Patches) -> Tensor:
    """Patches ``h w c`` -> ``3 H W``. Rows of bytes are moved as one word each, which is much faster."""
    edge = config.patch_px * config.scale
    as_words = patches.dtype == torch.uint8 and edge in _WORDS
    words = patches.view(_WORDS[edge]) if as_words else patches
    rows, columns = patches.shape[:2]
    inner = words.view(rows, columns, 3, edge, -1)
    moved = inner.permute(2, 0, 3, 1, 4).contiguous()
    return moved.view(patches.dtype).view(3, rows * edge, columns * edge)


Residuals = Callable[[Iterator[Tensor]], Iterator[Tensor]]
"""Neighbouring LR frames in [0, 1], ``1 3 h w`` float32 of whole patches, behind them what is told of neighbours ->
residuals of `PatchFrame`."""


class PatchDirect:
    """From LR frames to finished frames, around what computes the residuals. A `limpid.method.Direct`."""

    def __init__(self, config: Patches, device: torch.device, residuals: Residuals) -> None:
        self.config, self.device, self.residuals = config, device, residuals

    @torch.no_grad()
    def __call__(self, frames: Iterable[Tensor]) -> Iterator[PatchFrame]:
        """Neighbouring LR frames ``3 h w`` float32 in [0, 1] -> the frames that they become, a few frames behind."""
        waiting: deque[tuple[Tensor, tuple[int, int]]] = deque()
        for residual in self.residuals(self._padded(frames, waiting)):
            lr, size = waiting.popleft()
            yield PatchFrame(residual=residual, lr=lr, size=size, config=self.config)

    def _padded(self, frames: Iterable[Tensor], waiting: deque[tuple[Tensor, tuple[int, int]]]) -> Iterator[Tensor]:
        """Frames of whole patches; they are left in ``waiting``, too."""
        p = self.config.patch_px
        for frame in frames:
            height, width = frame.shape[-2:]
            told = F.pad(frame[None].to(self.device), (0, -width % p, 0, -height % p), mode="replicate")
            waiting.append((told[0, :3], (height, width)))
            yield told
