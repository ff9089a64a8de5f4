"""Norm, SiLU and convolution in one pass, in bands of rows, so that no normalised copy of the whole input exists.

At the decoder's full resolution one tensor of features is 32 times the picture, and memory ends first. The statistics
of a group norm are all that needs the whole input; what follows needs a few rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.networks.temporal.norm import WindowGroupNorm

BAND_BYTES = {"cpu": 8 << 20}
"""Bytes of one band of input by device: small enough for a processor's cache, large enough for fast convolutions."""
BAND_BYTES_ELSEWHERE = 256 << 20
ONEDNN_CONV3D = 20480
"""Least channels x frames x rows of one clip for which torch gives a 3-D convolution to oneDNN. What it does otherwise
is slow and unfolds the input."""


def may_work_in_place() -> bool:
    """Whether to work in bands and in place: not where autograd or a compiler needs to see plain operations."""
    return not torch.is_grad_enabled() and not torch.compiler.is_compiling()


def band_bytes(device: torch.device) -> int:
    """Bytes of input per band on a device."""
    return BAND_BYTES.get(device.type, BAND_BYTES_ELSEWHERE)


def norm_coefficients(norm: WindowGroupNorm, x: Tensor, num_frames: int) -> tuple[Tensor, Tensor]:
    """A group norm as ``(scale, shift)`` with ``norm(x) = x * scale + shift``, without making ``norm(x)``.

    Both float32 ``(b t) c``.
    """
    mean, variance = group_moments(norm.pooled(x, num_frames), norm.num_groups, norm.eps)
    width = norm.num_channels // norm.num_groups
    deviation = torch.rsqrt(variance + norm.eps).repeat_interleave(width, 1)
    scale = deviation * norm.weight.float()
    shift = norm.bias.float() - mean.repeat_interleave(width, 1) * scale
    frames = x.shape[0] // scale.shape[0]
    return scale.repeat_interleave(frames, 0), shift.repeat_interleave(frames, 0)


def group_moments(x: Tensor, groups: int, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and variance of each group of channels, float32 ``n g``, of ``n c h w`` in channels_last memory.

    The group norm of torch reports them; it is run on bands, and the bands' moments are joined (Chan et al. 1983).
    """
    if x.numel() * x.element_size() <= band_bytes(x.device):
        return moments_of_band(x, groups, eps)
    found = [joined_moments(item, groups, eps) for item in torch.split(x, 1)]
    return torch.cat([mean for mean, _ in found]), torch.cat([variance for _, variance in found])


def joined_moments(x: Tensor, groups: int, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and variance of each group of one ``1 c h w`` that is larger than a band, joined from those of its bands."""
    bands = [x[:, :, part] for part in row_bands(x)]
    found = [moments_of_band(band, groups, eps) for band in bands]
    means, variances = (torch.stack(part) for part in zip(*found, strict=True))
    # mean = sum of shares w_i m_i, variance = sum of w_i (v_i + (m_i - mean)^2)
    share = means.new_tensor([band.shape[2] / x.shape[2] for band in bands])[:, None, None]
    mean = (share * means).sum(0)
    return mean, (share * (variances + (means - mean).square())).sum(0)


def moments_of_band(band: Tensor, groups: int, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and variance, float32 ``n g``, of one band ``n c h w``."""
    if not band.is_cpu:
        return moments_anywhere(band, groups)
    n, c, h, w = band.shape
    _, mean, deviation = torch.native_group_norm(band, None, None, n, c, h * w, groups, eps)
    return mean.float(), deviation.float().pow(-2) - eps


def moments_anywhere(band: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of each group in plain operations.

    Only processors have a group norm that takes channels_last memory.
    """
    grouped = torch.unflatten(band.permute(0, 2, 3, 1).float(), -1, (groups, -1))
    variance, mean = torch.var_mean(grouped, dim=(1, 2, 4), correction=0)
    return mean, variance


def convolve_bands(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    convolve: Callable[[Tensor], Tensor],
    put: Callable[[Tensor, int, slice], None],
) -> None:
    """Norm, SiLU and convolution band by band: runs ``convolve`` on ``silu(x * scale + shift)`` of each.

    A band has one more row above and below (zeros outside).
    ``x``: ``n c h w`` or ``n c t h w``; ``put(result, item, rows)`` takes what came out for ``x[item]``, and may write
    it over those rows of ``x``: the row above a band is kept from the band before.
    """
    parts, room = row_bands(x), Room(x)
    for item in range(x.shape[0]):
        one = slice(item, item + 1)
        for part in parts:
            put(convolve(room.fill(x[one], scale[one], shift[one], part)), item, part)


class Room:
    """The memory in which one band after another is prepared."""

    def __init__(self, like: Tensor) -> None:
        self.shape = (1, *like.shape[1:])
        self.layout = torch.channels_last if like.ndim == 4 else torch.channels_last_3d
        self.band = like.new_empty(0)

    def take(self, rows: int) -> Tensor:
        """Memory for a band, ``1 c [t] rows w``: that of the band before when it has the size."""
        if self.band.ndim == 1 or self.band.shape[-2] != rows:
            shape = (*self.shape[:-2], rows, self.shape[-1])
            self.band = torch.empty(shape, dtype=self.band.dtype, device=self.band.device, memory_format=self.layout)
        return self.band

    def fill(self, x: Tensor, scale: Tensor, shift: Tensor, part: slice) -> Tensor:
        """A prepared band: ``silu(x * scale + shift)`` of the rows ``part`` and one to either side; zeros outside."""
        above = self.band.narrow(-2, self.band.shape[-2] - 2, 1).clone() if part.start else None
        band, count = self.take(part.stop - part.start + 2), part.stop - part.start
        band.narrow(-2, 0, 1).zero_() if above is None else band.narrow(-2, 0, 1).copy_(above)
        source = x.narrow(-2, part.start, min(count + 1, x.shape[-2] - part.start))
        inside = band.narrow(-2, 1, source.shape[-2])
        if x.dtype == scale.dtype:
            torch.addcmul(shift, source, scale, out=inside)
        else:
            inside.copy_(torch.addcmul(shift, source, scale))
        F.silu(inside, inplace=True)
        if part.stop == x.shape[-2]:
            band.narrow(-2, count + 1, 1).zero_()
        return band


def row_bands(x: Tensor) -> list[slice]:
    """Bands: slices of nearly equal numbers of rows that cover those of ``n c h w`` or ``n c t h w``.

    At least 8 rows where there are so many, because two more are computed around each band.
    """
    height = x.shape[-2]
    per_row = max(1, x[0].numel() * x.element_size() // height)
    least = 8 if x.ndim == 4 else max(8, ONEDNN_CONV3D // (x.shape[1] * x.shape[2]))
    count = max(1, min(ceil(height * per_row / band_bytes(x.device)), height // least))
    rows, longer = divmod(height, count)
    starts = [i * rows + min(i, longer) for i in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(starts)]
