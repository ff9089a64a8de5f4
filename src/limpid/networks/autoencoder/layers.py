"""Convolutions of the autoencoders: after norm and SiLU, over time, and those that change the resolution.

All take frames ``(b t) c h w`` in channels_last memory, and are ordinary ``nn.Conv2d`` or ``nn.Conv3d`` by their
parameters.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.autoencoder.bands import convolve_bands, may_work_in_place, norm_coefficients
from limpid.networks.temporal.convolution import as_clips, as_frames, convolve_clip, convolve_frames, middle
from limpid.networks.temporal.norm import WindowGroupNorm


class SmoothConv2d(nn.Conv2d):
    """A convolution after norm and SiLU, ``conv(silu(norm(x)))``, with a 3x3 kernel, zero padded."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(  # type: ignore[override]
        self, x: Tensor, norm: WindowGroupNorm, num_frames: int, plus: Tensor | None = None
    ) -> Tensor:
        """``plus`` is added to the result; without autograd the result takes its place in memory."""
        if not may_work_in_place():
            y = super().forward(F.silu(norm(x, num_frames)))
            return y if plus is None else plus + y
        scale, shift = (part[:, :, None, None] for part in norm_coefficients(norm, x, num_frames))
        into = empty_frames(x, self.out_channels) if plus is None else plus

        def put(result: Tensor, item: int, rows: slice) -> None:
            place = into[item : item + 1, :, rows]
            place.copy_(result) if plus is None else place.add_(result)

        convolve_bands(x, scale, shift, lambda band: self._convolve(band), put)
        return into

    def _convolve(self, band: Tensor) -> Tensor:
        return F.conv2d(band, self.weight, self.bias, padding=(0, 1))


class SmoothConv3d(nn.Conv3d):
    """A convolution after norm and SiLU, ``conv(silu(norm(x)))``, with a 3x3x3 kernel over the frames of each clip.

    Zero padded in time and space.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        norm: WindowGroupNorm,
        num_frames: int,
        plus: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        """``plus + weight * result``, as far as given; without autograd it takes the place of ``plus`` in memory.

        ``weight`` has one element.
        """
        if not may_work_in_place():
            y = convolve_clip(F.silu(norm(x, num_frames)), num_frames, self.weight, self.bias)
            y = y if weight is None else y * weight
            return y if plus is None else plus + y
        into = empty_frames(x, self.out_channels) if plus is None else plus
        if plus is None and weight is not None:
            raise ValueError("a weight needs something to be added to")
        self._fused(x, norm, num_frames, into, x.new_ones(1) if weight is None and plus is not None else weight)
        return into

    def _fused(self, x: Tensor, norm: WindowGroupNorm, num_frames: int, into: Tensor, weight: Tensor | None) -> None:
        """Adds ``weight`` times the result to ``into``; None: writes it there."""
        coefficients = norm_coefficients(norm, x, num_frames)
        scale, shift = (as_clips(part[:, :, None, None], num_frames) for part in coefficients)
        clips, places = as_clips(x, num_frames), as_clips(into, num_frames)

        def convolve(band: Tensor) -> Tensor:
            return as_clips(convolve_frames(as_frames(band), num_frames, self.weight, self.bias, (0, 1)), num_frames)

        def put(result: Tensor, item: int, rows: slice) -> None:
            place = places[item : item + 1, :, :, rows]
            place.copy_(result) if weight is None else place.addcmul_(result, weight)

        convolve_bands(clips, scale, shift, convolve, put)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution, computed as what it is in channels_last memory: a linear layer on ``... c``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``... c`` to ``... d``."""
        return F.linear(x, self.weight.flatten(1), self.bias)


class NarrowConv3d(nn.Conv3d):
    """A 3x3x3 convolution over the frames of each clip, zero padded, for few channels.

    It is computed as a 2-D convolution on a frame and its neighbours side by side: for few channels torch has only a
    slow 3-D one that unfolds the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, num_frames: int) -> Tensor:  # type: ignore[override]
        """``(b t) c h w`` to the same."""
        if num_frames == 1:
            return F.conv2d(x, middle(self.weight), self.bias, padding=1)
        clips = F.pad(torch.unflatten(x.permute(0, 2, 3, 1), 0, (-1, num_frames)), (0, 0, 0, 0, 0, 0, 1, 1))
        beside = torch.cat([clips[:, i : i + num_frames] for i in range(3)], dim=-1).flatten(0, 1)
        kernel = self.weight.transpose(1, 2).flatten(1, 2)
        return F.conv2d(beside.permute(0, 3, 1, 2), kernel, self.bias, padding=1)


class Downsample(nn.Conv2d):
    """A convolution to half the resolution.

    Zeros are appended to the right and below only, which is how the weights were trained.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """``n c h w`` to ``n c h/2 w/2``; ``h`` and ``w`` are even."""
        return super().forward(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Conv2d):
    """A convolution to twice the resolution: every pixel repeated, then a 3x3 kernel.

    Of the nine taps, those that meet copies of the same pixel are added beforehand. What is left is a transposed
    convolution with a 4x4 kernel and stride 2: 4 instead of 9 products per output, and no enlarged copy of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``n c h w`` to ``n c 2h 2w``."""
        kernel = joined_taps(joined_taps(self.weight.float(), 2), 3).to(x.dtype).transpose(0, 1)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


def joined_taps(weight: Tensor, dim: int) -> Tensor:
    """A kernel of three taps on a doubled signal as the four of a transposed convolution with stride 2."""
    before, here, after = weight.unbind(dim)
    return torch.stack((after, here + after, before + here, before), dim)


def empty_frames(like: Tensor, channels: int) -> Tensor:
    """Memory for frames ``(b t) channels h w``, uninitialised, channels_last."""
    shape = (like.shape[0], channels, *like.shape[2:])
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
