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

LEVELS = 5
"""Of the low-pass at output size."""
TAPS = (0.25, 0.5, 0.25)


def wavelet(frames: Tensor, reference: Tensor) -> Tensor:
    """Gives each frame the low frequencies of the reference.

    ``frames``: ``t c H W``; ``reference``: ``t c h w``, no larger than the frames. A new tensor, not clipped.
    """
    return wavelet_(frames.clone(), reference)


def wavelet_(frames: Tensor, reference: Tensor) -> Tensor:
    """`wavelet` in place; one frame at a time, so that the bits cannot depend on how many there are."""
    for i in range(len(frames)):
        frames[i] += correction(frames[i : i + 1], reference[i : i + 1])[0]
    return frames


def correction(frame: Tensor, reference: Tensor) -> Tensor:
    """What to add to ``1 c H W`` so that its low frequencies become those of ``1 c h w``."""
    scale = math.sqrt(frame[0, 0].numel() / reference[0, 0].numel())
    levels = max(1, round(LEVELS - math.log2(scale)))
    wrong = reference - shrink(frame, reference.shape[-2], reference.shape[-1])
    return F.interpolate(low_pass(wrong, levels), frame.shape[-2:], mode="bilinear", align_corners=False)


def shrink(frame: Tensor, height: int, width: int) -> Tensor:
    """Area average of ``1 c H W`` to ``height x width``."""
    if tuple(frame.shape[-2:]) == (height, width):
        return frame
    return F.interpolate(frame, (height, width), mode="area")


def low_pass(x: Tensor, levels: int) -> Tensor:
    """A-trous binomial low-pass with replicated borders: taps 1 2 1 at distances 1, 2, 4 ...; ``1 c h w``."""
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
