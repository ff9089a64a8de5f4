"""Residual blocks on folded frames against torch's layers on ``b c t h w``."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.temporal.convolution import as_clips
from limpid.networks.temporal.module import TemporalModule
from limpid.networks.temporal.resnet import ResnetBlock, TemporalConv


def frames(clips: int, count: int, channels: int, height: int = 5, width: int = 4) -> Tensor:
    x = torch.randn(clips * count, channels, height, width)
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("clips", [1, 2])
def test_convolution_over_time_is_conv3d(count: int, kernel: int, clips: int) -> None:
    conv = TemporalConv(8, 6, kernel)
    x = frames(clips, count, 8)
    wanted = F.conv3d(as_clips(x, count), conv.weight, conv.bias, padding=(kernel // 2, 0, 0))
    out = conv(x, count)
    torch.testing.assert_close(as_clips(out, count), wanted, rtol=1e-5, atol=1e-5)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert conv.weight.shape == (6, 8, kernel, 1, 1)


def written_out(block: ResnetBlock, x: Tensor, emb: Tensor | None, eps: float) -> Tensor:
    """On ``b c t h w`` with torch's own group norm, which pools over everything that follows the channels."""

    def conv(layer: nn.Module, y: Tensor) -> Tensor:
        weight = layer.weight if layer.weight.ndim == 5 else layer.weight[:, :, None]
        return F.conv3d(y, weight, layer.bias, padding=tuple(size // 2 for size in weight.shape[2:]))

    def norm(layer: nn.GroupNorm, y: Tensor) -> Tensor:
        return F.silu(F.group_norm(y, layer.num_groups, layer.weight, layer.bias, eps))

    h = conv(block.conv1, norm(block.norm1, x))
    if emb is not None:
        h = h + block.time_emb_proj(emb)[:, :, None, None, None]
    h = conv(block.conv2, norm(block.norm2, h))
    return h + (conv(block.conv_shortcut, x) if block.has_shortcut else x)


@pytest.mark.parametrize("kernels", [None, (5, 3), (3, 3)])
@pytest.mark.parametrize("timed", [False, True])
def test_block_on_clips(kernels: tuple[int, int] | None, timed: bool) -> None:
    out_channels = 32 if timed else 64
    block = ResnetBlock(64, out_channels, time_channels=7 if timed else None, eps=1e-3, kernels=kernels)
    for norm in (block.norm1, block.norm2):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x, emb = frames(2, 3, 64), torch.randn(2, 7) if timed else None
    before = x.clone()
    out = block(x, 3, emb)
    torch.testing.assert_close(as_clips(out, 3), written_out(block, as_clips(x, 3), emb, 1e-3), rtol=1e-4, atol=1e-5)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert x.equal(before)


def test_norms_per_frame_make_frames_independent_in_space() -> None:
    block = ResnetBlock(32, 32, time_channels=None, norm_scope="frame")
    x = frames(1, 3, 32)
    torch.testing.assert_close(block(x, 3)[1:2], block(x[1:2], 1))


def test_temporal_module_adds_what_its_last_convolution_gives() -> None:
    module = TemporalModule(32, time_channels=7)
    x, emb = frames(2, 3, 32), torch.randn(2, 7)
    inner = module.spatial(module.temporal(x, 3, emb), 3, emb)
    torch.testing.assert_close(module(x, emb, 3), x + module.shift_conv(inner))
    nn.init.zeros_(module.shift_conv.weight)
    nn.init.zeros_(module.shift_conv.bias)
    assert module(x, emb, 3).equal(x)
