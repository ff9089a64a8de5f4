"""Parts of pictures by frequency, for targets that take them from different sources."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FAR_PX = 4
"""From this standard deviation on, blur is computed on averages of `FAR_PX` x `FAR_PX` pixels."""


def low_part(pictures: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur of ``n c h w``, borders replicated; sides must be multiples of `FAR_PX` for wide ones.

    It is computed in the pictures' own number format: with fewer bits, what it leaves out of a plain area is not zero.
    """
    with torch.autocast(pictures.device.type, enabled=False):
        if sigma_px < FAR_PX:
            return _blurred(pictures, sigma_px)
        small = _blurred(F.avg_pool2d(pictures, FAR_PX), sigma_px / FAR_PX)
        return F.interpolate(small, scale_factor=FAR_PX, mode="bilinear")


def fine_part(pictures: Tensor, sigma_px: float) -> Tensor:
    """What `low_part` leaves out."""
    return pictures - low_part(pictures, sigma_px)


def beyond_lr(pictures: Tensor, scale: int) -> Tensor:
    """What a grid of ``scale`` times fewer pixels cannot carry of ``n c h w``: the detail of `limpid.metrics.detail`.

    Pictures less what is left of them when they are reduced (antialiased bicubic) and enlarged again (bicubic).
    """
    with torch.autocast(pictures.device.type, enabled=False):
        reduced = F.interpolate(pictures, scale_factor=1 / scale, mode="bicubic", antialias=True)
        return pictures - F.interpolate(reduced, size=pictures.shape[-2:], mode="bicubic")


def _blurred(x: Tensor, sigma: float) -> Tensor:
    radius, channels = int(3 * sigma + 0.5), x.shape[1]
    places = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(channels, 1, -1)
    padded = F.pad(x, [radius] * 4, mode="replicate")
    rows = F.conv2d(padded, kernel[:, :, None, :], groups=channels)
    return F.conv2d(rows, kernel[:, :, :, None], groups=channels)
