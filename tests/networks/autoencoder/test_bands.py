"""Bands and in-place work change nothing but memory: the plain operations are the oracle."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from limpid.networks.autoencoder import bands
from limpid.networks.autoencoder.layers import Downsample, SmoothConv2d, SmoothConv3d, Upsample
from limpid.networks.temporal.norm import WindowGroupNorm


@pytest.fixture(params=[1, 40_000, 1 << 30], ids=["8 rows", "some rows", "whole"])
def band_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setitem(bands.BAND_BYTES, "cpu", request.param)
    return int(request.param)


def frames(count: int, channels: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(count, channels, height, width, generator=generator) * 2 + 5
    return x.contiguous(memory_format=torch.channels_last)


def norm_of(channels: int, scope: Any) -> WindowGroupNorm:
    norm = WindowGroupNorm(8, channels, norm_scope=scope)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    return norm


@pytest.mark.usefixtures("band_bytes")
@pytest.mark.parametrize("scope", ["window", "frame"])
@pytest.mark.parametrize("height", [5, 19, 33])
def test_smooth_convolutions(scope: str, height: int) -> None:
    x, norm = frames(6, 16, height, 9), norm_of(16, scope)
    flat, deep = SmoothConv2d(16, 24), SmoothConv3d(16)
    share = torch.tensor([0.3])
    for call in (
        lambda: flat(x, norm, 3),
        lambda: flat(x, norm, 3, plus=frames(6, 24, height, 9)),
        lambda: deep(x, norm, 3),
        lambda: deep(x, norm, 1),
        lambda: deep(x, norm, 3, plus=frames(6, 16, height, 9)),
        lambda: deep(x, norm, 3, plus=frames(6, 16, height, 9), weight=share),
    ):
        plain = call().detach()
        with torch.no_grad():
            fused = call()
        assert (fused - plain).abs().max() < 2e-5
        assert fused.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "shape", [(1, 128, 3, 256, 256), (2, 256, 3, 128, 128), (1, 512, 8, 64, 61), (1, 128, 2, 70, 9)]
)
def test_no_band_is_left_to_the_slow_convolution(shape: tuple[int, ...]) -> None:
    x = torch.empty(shape)  # never touched, so never really there
    parts = bands.row_bands(x)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(shape[3]))
    whole = shape[1] * shape[2] * (shape[3] + 2)
    rows = min(part.stop - part.start for part in parts) + 2
    assert shape[1] * shape[2] * rows > min(bands.ONEDNN_CONV3D, whole - 1)


@pytest.mark.usefixtures("band_bytes")
def test_the_result_may_take_the_place_of_the_input() -> None:
    x, norm, conv = frames(4, 16, 33, 9), norm_of(16, "window"), SmoothConv3d(16)
    plain = conv(x, norm, 2, plus=x).detach()
    with torch.no_grad():
        fused = conv(x, norm, 2, plus=x)
    assert fused.data_ptr() == x.data_ptr()
    assert (fused - plain).abs().max() < 2e-5


@pytest.mark.usefixtures("band_bytes")
@pytest.mark.parametrize("scope", ["window", "frame"])
def test_coefficients_are_those_of_the_norm(scope: str) -> None:
    x, norm = frames(4, 16, 35, 11), norm_of(16, scope)
    x[:, :, 20:] -= 9  # halves of the picture with very different means
    with torch.no_grad():
        scale, shift = bands.norm_coefficients(norm, x, 2)
        found = x * scale[..., None, None] + shift[..., None, None]
        assert (found - norm(x, 2)).abs().max() < 1e-5


def test_moments_on_other_devices_are_the_same() -> None:
    x = frames(2, 16, 19, 9)
    for found, wanted in zip(bands.moments_anywhere(x, 8), bands.moments_of_band(x, 8, 1e-6), strict=True):
        assert found.shape == (2, 8)
        assert (found - wanted).abs().max() < 1e-4


def test_half_precision_is_near_float32() -> None:
    x, norm, conv = frames(2, 16, 20, 9), norm_of(16, "window"), SmoothConv2d(16, 16)
    with torch.no_grad():
        wanted = conv(x, norm, 2)
        found = conv.bfloat16()(x.bfloat16(), norm.bfloat16(), 2)
    assert found.dtype == torch.bfloat16
    assert (found - wanted).abs().max() < 0.1


def test_upsampling_is_repeating_and_convolving() -> None:
    layer, x = Upsample(8), frames(2, 8, 5, 7)
    repeated = F.interpolate(x, scale_factor=2.0, mode="nearest")
    wanted = F.conv2d(repeated, layer.weight, layer.bias, padding=1)
    assert (layer(x) - wanted).abs().max() < 1e-5


def test_downsampling_pads_right_and_below() -> None:
    layer, x = Downsample(8), frames(1, 8, 6, 8)
    changed = x.clone()
    changed[:, :, 0] = 0
    changed[:, :, :, 0] = 0
    with torch.no_grad():
        assert layer(x).shape == (1, 8, 3, 4)
        assert torch.equal(layer(x)[:, :, 1:, 1:], layer(changed)[:, :, 1:, 1:])
        x[:, :, -1] += 1
        assert not torch.equal(layer(x)[:, :, -1], layer(changed)[:, :, -1])


def test_inputs_are_left_alone(any_vae: Any) -> None:
    hr = frames(2, 3, 20, 28)
    z, lr = frames(2, 4, 5, 7), frames(2, 3, 5, 7)
    kept = [part.clone() for part in (hr, z, lr)]
    with torch.no_grad():
        any_vae.encode(hr, 2)
        any_vae.decode(z, 2, lr)
    assert all(torch.equal(a, b) for a, b in zip(kept, (hr, z, lr), strict=True))
