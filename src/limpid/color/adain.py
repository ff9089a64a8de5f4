"""Colour transfer by mean and standard deviation (Huang and Belongie 2017, AdaIN Eq. 8), per frame and channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

VARIANCE_FLOOR = 1e-5
"""Least variance, added to every one, which keeps flat frames from being amplified."""


def adain(frames: Tensor, reference: Tensor) -> Tensor:
    """AdaIN: each channel of each frame gets the mean and standard deviation that it has in the reference.

    ``frames``: ``t c H W``; ``reference``: ``t c h w`` of any size, whose statistics are taken as it is: upscaling it
    first would cost more and change them only by what interpolation smooths. A new tensor.
    """
    return adain_(frames.clone(), reference)


def adain_(frames: Tensor, reference: Tensor) -> Tensor:
    """`adain` in place. Frame by frame, because the order of a sum over a batch may depend on the batch."""
    for frame, wanted in zip(frames, reference, strict=True):
        mean, std = statistics(frame)
        wanted_mean, wanted_std = statistics(wanted)
        # sigma(y) (x - mu(x)) / sigma(x) + mu(y)
        gain = wanted_std / std
        frame.mul_(gain).add_(wanted_mean - mean * gain)
    return frames


def statistics(frame: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (unbiased) standard deviation of ``c h w``, each ``c 1 1``; much faster than ``torch.var_mean``."""
    mean = frame.mean(dim=(-2, -1), keepdim=True)
    count = frame[0].numel()
    variance = (frame - mean).square_().sum(dim=(-2, -1), keepdim=True) / max(count - 1, 1)
    return mean, (variance + VARIANCE_FLOOR).sqrt()


# ------------------------------------------------------------------------------------------- frames in pieces

_SUM_UNIT, _SQUARE_UNIT = 2.0**24, 2.0**30
"""Values in [0, 1] are counted in parts of these: sums over 16384 x 16384 pixels stay far below 63 bits."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums over parts of frames, in whole numbers: adding them up gives the same bits in any order and for any parts.

    A mean in floating point depends on the order of its terms, and so on how a picture is cut.
    """

    values: Tensor
    """``t c 2`` int64: of the values and of their squares."""
    count: int
    """Pixels."""

    @classmethod
    def of(cls, frames: Tensor) -> Sums:
        """Sums over frames ``t c h w`` in [0, 1]."""
        return cls(values=torch.stack([_sums(frame.cpu().double()) for frame in frames]), count=frames[0, 0].numel())

    def __add__(self, other: Sums) -> Sums:
        return Sums(values=self.values + other.values, count=self.count + other.count)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and (unbiased) standard deviation, each ``t c 1 1`` float64; see `statistics`."""
        mean = self.values[..., 0].double() / (_SUM_UNIT * self.count)
        squares = self.values[..., 1].double() / _SQUARE_UNIT
        variance = (squares - mean.square() * self.count).clamp_(min=0.0) / max(self.count - 1, 1)
        return mean[..., None, None], (variance + VARIANCE_FLOOR).sqrt()[..., None, None]


def _sums(frame: Tensor) -> Tensor:
    sums = [(frame * _SUM_UNIT), (frame.square() * _SQUARE_UNIT)]
    return torch.stack([values.round_().long().sum(dim=(-2, -1)) for values in sums], dim=-1)


def total(parts: list[Sums]) -> Sums:
    """Sums over all parts."""
    return reduce(add, parts)


def adain_by_(frames: Tensor, found: Sums, wanted: Sums) -> Tensor:
    """`adain` of parts of frames, in place: ``found`` are the sums of the whole frames, ``wanted`` of the reference."""
    (mean, std), (wanted_mean, wanted_std) = found.statistics(), wanted.statistics()
    gain = wanted_std / std
    return frames.mul_(gain.to(frames)).add_((wanted_mean - mean * gain).to(frames))
