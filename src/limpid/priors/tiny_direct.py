"""`tiny` in one step, straight from LR frames to pixels, frame after frame: no latent, no noise, no second copy.

From pure noise at sigma_max a single step is a plain regression: of the noise ``n`` the prediction keeps
``s^2 / (s^2 + sigma^2) sigma n``, about a thousandth of the latent's unit and less than a tenth of one code value of
8 bits. Here it starts from the mean of the noise, zero. Then everything behind the last activation is linear (the scale
of the data, the DCT, the colours), and is folded into the weights of the last convolution; the noise level is a
constant, and is folded into the biases. What remains are the 3x3 convolutions themselves.

Frames go through one by one. A block that mixes time holds the frame before and the one after, so the memory of a call
depends on the picture and not on how many frames come, and the activations stay in the processor's cache.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.priors.tiny import (
    TinyBlock,
    TinyConfig,
    TinyNetwork,
    bicubic_taps,
    bicubic_weight,
    noise_features,
    patch_basis,
)
from limpid.video import rounded_values

_BAND_VALUES = 1 << 18
"""Values of finished pixels that are worked on at once: float32 that stays in the processor's cache."""
_LAYOUT = torch.channels_last


@dataclass(frozen=True, kw_only=True, slots=True)
class _Convolution:
    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, like: Tensor) -> _Convolution:
        """In the number format and on the device of ``like``."""
        return cls(weight=weight.to(like).contiguous(memory_format=_LAYOUT), bias=bias.to(like))

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """A `TinyBlock` at one noise level."""

    first: _Convolution
    second: _Convolution
    shift: int

    @classmethod
    def of(cls, block: TinyBlock, noise: Tensor, like: Tensor) -> _Block:
        bias = block.conv1.bias + block.noise_bias(noise)[0]
        assert block.conv2.bias is not None
        return cls(
            first=_Convolution.of(block.conv1.weight, bias, like),
            second=_Convolution.of(block.conv2.weight, block.conv2.bias, like),
            shift=block.shift,
        )

    def __call__(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        for x, mixed in shifted(frames, self.shift) if self.shift else ((x, x) for x in frames):
            yield self.second(F.relu(self.first(mixed), inplace=True)).add_(x)


def shifted(frames: Iterator[Tensor], channels: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Each frame ``1 c h w`` with its mixture, see `limpid.networks.temporal.shift.shift_time`: one frame behind."""
    here = next(frames, None)
    before = here
    while here is not None:
        after = next(frames, None)
        mixed = here.clone(memory_format=torch.preserve_format)
        if before is not here:
            mixed[:, :channels] = before[:, :channels]  # type: ignore[index]
        if after is not None:
            mixed[:, channels : 2 * channels] = after[:, channels : 2 * channels]
        yield here, mixed
        before, here = here, after


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
class TinyFrame:
    """One frame as the network leaves it: the residual in patches. A `limpid.method.DirectFrame`."""

    residual: Tensor
    """``h/2 w/2 192``: what is added to the bicubic picture, patch by patch; colour, row, column within a patch."""
    lr: Tensor
    """``3 h w`` float32, padded to whole patches."""
    size: tuple[int, int]
    """Height and width of the LR frame."""
    config: TinyConfig

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
        """Bicubic picture and residual, a few rows of patches at a time: ``rows w 192`` float32."""
        patch, (rows, columns, channels) = self.config.patch_px, self.residual.shape
        lr = self.lr if correction is None else self.lr + self._padded(correction)
        around = F.pad(lr[None], (patch, patch, patch, patch), mode="replicate")
        patches = F.pixel_unshuffle(around, patch).contiguous(memory_format=_LAYOUT)
        weight, step = (
            bicubic_weight(self.config.scale, patch).to(patches),
            max(_BAND_VALUES // (columns * channels), 1),
        )
        for start in range(0, rows, step):
            band = slice(start, min(start + step, rows))
            base = F.conv2d(patches[:, :, start : band.stop + 2], weight)[0].permute(1, 2, 0)
            yield band, base.add_(self.residual[band])

    def _padded(self, small: Tensor) -> Tensor:
        below, right = (whole - own for whole, own in zip(self.lr.shape[-2:], self.size, strict=True))
        return F.pad(small[None], (0, right, 0, below), mode="replicate")[0]

    def _cropped(self, picture: Tensor, scale: int) -> Tensor:
        return picture[:, : self.size[0] * scale, : self.size[1] * scale]


def sum_of(parts: tuple[Tensor, ...]) -> Tensor:
    """Their sum, added in pairs of neighbours."""
    return parts[0] if len(parts) == 1 else sum_of(parts[: len(parts) // 2]) + sum_of(parts[len(parts) // 2 :])


def _unfolded(patches: Tensor, config: TinyConfig) -> Tensor:
    """Patches ``h w 192`` -> ``3 8h 8w``. Rows of bytes are moved as one word each, which is much faster."""
    edge = config.patch_px * config.scale
    as_words = patches.dtype == torch.uint8 and edge == 8
    words = patches.view(torch.int64) if as_words else patches
    rows, columns = patches.shape[:2]
    inner = words.view(rows, columns, 3, edge, -1)
    moved = inner.permute(2, 0, 3, 1, 4).contiguous()
    return moved.view(patches.dtype).view(3, rows * edge, columns * edge)


Residuals = Callable[[Iterator[Tensor]], Iterator[Tensor]]
"""Neighbouring LR frames in patch space around 0, ``1 12 h w`` float32 -> residuals in patch space, ``h w 192``."""


class TinyDirect:
    """From LR frames to finished frames, around what computes the residuals. A `limpid.method.Direct`."""

    def __init__(self, config: TinyConfig, device: torch.device, residuals: Residuals) -> None:
        self.config, self.device, self.residuals = config, device, residuals

    @torch.no_grad()
    def __call__(self, frames: Iterable[Tensor]) -> Iterator[TinyFrame]:
        """Neighbouring LR frames ``3 h w`` float32 in [0, 1] -> the frames that they become, a few frames behind."""
        waiting: deque[tuple[Tensor, tuple[int, int]]] = deque()
        for residual in self.residuals(self._patches(frames, waiting)):
            lr, size = waiting.popleft()
            yield TinyFrame(residual=residual, lr=lr, size=size, config=self.config)

    def _patches(self, frames: Iterable[Tensor], waiting: deque[tuple[Tensor, tuple[int, int]]]) -> Iterator[Tensor]:
        """Frames in patch space; as they are, they are left in ``waiting``."""
        p = self.config.patch_px
        for frame in frames:
            height, width = frame.shape[-2:]
            lr = F.pad(frame[None].to(self.device), (0, -width % p, 0, -height % p), mode="replicate")
            waiting.append((lr[0], (height, width)))
            yield F.pixel_unshuffle(lr - 0.5, p)


class TinyConvolutions:
    """The network at one noise level with all that is linear folded in: residuals, frame after frame, in PyTorch."""

    def __init__(self, network: TinyNetwork, sigma: float) -> None:
        """``network``: on the device and in the number format that it is to run in."""
        like = network.conv_out.weight
        self.dtype, exact = like.dtype, folded(network)
        with torch.no_grad():
            noise = exact.noise(noise_features(torch.full((1,), sigma, device=like.device)).double())
            bias = exact.conv_lr.bias + exact.conv_z.bias  # type: ignore[operator]
            self.enter = _Convolution.of(exact.conv_lr.weight, bias, like)
            self.blocks = [_Block.of(block, noise, like) for block in exact.blocks]  # type: ignore[arg-type]
            self.leave = _Convolution.of(exact.conv_out.weight, exact.conv_out.bias, like)  # type: ignore[arg-type]

    def __call__(self, patches: Iterator[Tensor]) -> Iterator[Tensor]:
        features: Iterator[Tensor] = (self.enter(x.to(self.dtype).contiguous(memory_format=_LAYOUT)) for x in patches)
        for block in self.blocks:
            features = block(features)
        for x in features:
            yield self.leave(x)[0].permute(1, 2, 0)


def direct_in_torch(network: TinyNetwork, sigma: float) -> TinyDirect:
    return TinyDirect(network.config, network.conv_out.weight.device, TinyConvolutions(network, sigma))


def folded(network: TinyNetwork) -> TinyNetwork:
    """A copy in float64 whose mean is the residual in patch space: the last convolution has the scale of the data and
    the way back from the DCT in it."""
    config = network.config
    exact = TinyNetwork(config).to(network.conv_out.weight.device).double()
    exact.load_state_dict(network.state_dict())
    back = patch_basis(config.patch_px * config.scale).to(exact.data_scale).T / config.latent_scale * exact.data_scale
    with torch.no_grad():
        exact.conv_out.weight.copy_(torch.einsum("oi,ichw->ochw", back, exact.conv_out.weight))
        exact.conv_out.bias.copy_(back @ exact.conv_out.bias)  # type: ignore[union-attr, operator]
    return exact.requires_grad_(False)
