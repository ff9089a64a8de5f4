"""Colour transfer by swapping low frequencies (the "wavelet" fix that StableSR made known).

The plain form works at output size: ``out - low(out) + low(up(lr))`` with an a-trous Gaussian low-pass of five levels,
whose standard deviation is 13 output pixels, 3.3 LR pixels at scale 4. That is ten convolutions of the large frame for
a correction that is smooth. Since ``low`` is linear, the correction is ``low(up(lr) - out)``; here it is computed at
LR size, ``low'(lr - down(out))`` with an area average as ``down``, and the correction is upsampled once, bilinearly.
Levels of distance 1, 2, 4 ... at scale s have the variance of ``5 - log2(s)`` levels in output pixels, so ``low'`` has
as many; at scale 4 the widths agree within 1 %. Where LR and output differ only smoothly, both forms give the same; how
far they differ on pictures is measured in the tests.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

_LEVELS = 5
"""Levels of the low-pass at output size."""
TAPS = (0.25, 0.5, 0.25)


def wavelet(frames: Tensor, reference: Tensor) -> Tensor:
    """Wavelet colour fix: each frame gets the low frequencies of the reference.

    ``frames``: ``t c H W``; ``reference``: ``t c h w``, no larger than the frames. A new tensor, not clipped.
    """
    return wavelet_(frames.clone(), reference)


def wavelet_(frames: Tensor, reference: Tensor) -> Tensor:
    """`wavelet` in place; one frame at a time, so that the bits cannot depend on how many there are."""
    for frame, wanted in zip(frames, reference, strict=True):
        levels = levels_at(math.sqrt(frame[0].numel() / wanted[0].numel()))
        wrong = wanted - shrink(frame, wanted.shape[-2], wanted.shape[-1])
        add_upsampled_(frame, low_pass(wrong, levels))
    return frames


def low_pass_error(lr: Tensor, shrunk: Tensor, scale: int) -> Tensor:
    """What a frame lacks of the low frequencies of its LR frame, ``c h w``.

    ``shrunk``: the frame averaged to LR size. The result is smooth, so it may be added to the LR frame before that is
    upscaled instead of to the frame: the two ways of upscaling it, bilinear in `wavelet_` and that of the LR frame,
    then hardly differ.
    """
    return low_pass(lr - shrunk, levels_at(scale))


def levels_at(scale: float) -> int:
    """Levels of the low-pass at LR size, for frames ``scale`` times as large."""
    return max(1, round(_LEVELS - math.log2(scale)))


def wavelet_reach(scale: int) -> int:
    """LR pixels beyond an LR pixel that its correction depends on: distances 1, 2, 4 ... and the upsampling's one."""
    return 1 << levels_at(scale)


def shrink(frame: Tensor, height: int, width: int) -> Tensor:
    """Area average of ``c H W`` to ``height x width``."""
    rows, columns = frame.shape[-2] // height, frame.shape[-1] // width
    if (rows * height, columns * width) != tuple(frame.shape[-2:]):
        return F.interpolate(frame[None], (height, width), mode="area")[0]
    summed = frame.reshape(-1, height, rows, width * columns).sum(dim=2)
    return summed.reshape(-1, height, width, columns).sum(dim=3) / (rows * columns)


def add_upsampled_(frame: Tensor, small: Tensor) -> None:
    """Adds ``small`` (``c h w``), bilinearly upsampled, to ``frame`` (``c H W``) in place.

    For whole factors this is done one sub-pixel phase at a time, columns first: four times as fast as interpolating the
    large frame, and to rounding the same.
    """
    rows, columns = (large // little for large, little in zip(frame.shape[-2:], small.shape[-2:], strict=True))
    if (rows * small.shape[-2], columns * small.shape[-1]) != tuple(frame.shape[-2:]):
        frame += F.interpolate(small[None], frame.shape[-2:], mode="bilinear", align_corners=False)[0]
        return
    wide = small.new_zeros(*small.shape[:-1], frame.shape[-1])
    _add_phases_(wide, small, columns, -1)
    _add_phases_(frame, wide, rows, -2)


def _add_phases_(large: Tensor, small: Tensor, factor: int, dim: int) -> None:
    """Linear upsampling of one axis by a whole factor, added to ``large`` in place; borders are replicated."""
    size = small.shape[dim]
    padded = F.pad(small, (0, 0, 1, 1) if dim == -2 else (1, 1, 0, 0), mode="replicate")
    for phase in range(factor):
        position = (phase + 0.5) / factor + 0.5
        first = int(position)
        where = (..., slice(phase, None, factor), slice(None)) if dim == -2 else (..., slice(phase, None, factor))
        target = large[where]
        target.add_(padded.narrow(dim, first, size), alpha=1.0 - (position - first))
        if position > first:
            target.add_(padded.narrow(dim, first + 1, size), alpha=position - first)


def low_pass(x: Tensor, levels: int) -> Tensor:
    """A-trous binomial low-pass with replicated borders: taps 1 2 1 at distances 1, 2, 4 ...; ``c h w``."""
    for level in range(levels):
        distance = 2**level
        for dim in (-2, -1):
            x = _binomial(x, distance, dim)
    return x


def _binomial(x: Tensor, distance: int, dim: int) -> Tensor:
    size = x.shape[dim]
    padding = (0, 0, distance, distance) if dim == -2 else (distance, distance, 0, 0)
    padded = F.pad(x, padding, mode="replicate")
    left, middle, right = (padded.narrow(dim, i * distance, size) for i in range(3))
    return TAPS[0] * left + TAPS[1] * middle + TAPS[2] * right
