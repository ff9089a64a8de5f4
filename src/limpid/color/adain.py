"""Colour transfer by mean and standard deviation (Huang and Belongie 2017, AdaIN Eq. 8), per frame and channel."""

from __future__ import annotations

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
