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

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.priors.patch_frames import PatchDirect
from limpid.priors.tiny import (
    TinyBlock,
    TinyConfig,
    TinyNetwork,
    noise_features,
    patch_basis,
)

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


class TinyConvolutions:
    """The network at one noise level with all that is linear folded in: residuals, frame after frame, in PyTorch."""

    def __init__(self, network: TinyNetwork, sigma: float) -> None:
        """``network``: on the device and in the number format that it is to run in."""
        like = network.conv_out.weight
        self.dtype, self.config, exact = like.dtype, network.config, folded(network)
        with torch.no_grad():
            noise = exact.noise(noise_features(torch.full((1,), sigma, device=like.device)).double())
            bias = exact.conv_lr.bias + exact.conv_z.bias  # type: ignore[operator]
            self.enter = _Convolution.of(exact.conv_lr.weight, bias, like)
            self.blocks = [_Block.of(block, noise, like) for block in exact.blocks]  # type: ignore[arg-type]
            self.leave = _Convolution.of(exact.conv_out.weight, exact.conv_out.bias, like)  # type: ignore[arg-type]

    def __call__(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        features: Iterator[Tensor] = (
            self.enter(tiny_patches(lr, self.config).to(self.dtype).contiguous(memory_format=_LAYOUT)) for lr in frames
        )
        for block in self.blocks:
            features = block(features)
        for x in features:
            yield self.leave(x)[0].permute(1, 2, 0)


def tiny_patches(lr: Tensor, config: TinyConfig) -> Tensor:
    """LR frames ``t 3 h w`` in [0, 1] as the network reads them: in patch space, around 0."""
    return F.pixel_unshuffle(lr - 0.5, config.patch_px)


def direct_in_torch(network: TinyNetwork, sigma: float) -> PatchDirect:
    return PatchDirect(network.config, network.conv_out.weight.device, TinyConvolutions(network, sigma))


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
