from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from limpid.color import adain, apply_color_, wavelet
from limpid.color.wavelet import add_upsampled_, shrink


def picture(height: int, width: int, seed: int = 0, frames: int = 2) -> Tensor:
    """Frames with a spectrum like photographs have (amplitude falls as 1/f), in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    fy, fx = torch.fft.fftfreq(height)[:, None] * height, torch.fft.rfftfreq(width)[None] * width
    spectrum = torch.fft.rfft2(torch.randn(frames, 3, height, width, generator=generator)) / (1 + torch.hypot(fy, fx))
    image = torch.fft.irfft2(spectrum, s=(height, width))
    return ((image - image.mean()) / (6 * image.std()) + 0.5).clamp(0, 1)


def slow_low_pass(x: Tensor, levels: int = 5) -> Tensor:
    """A-trous low-pass at output size, as a dilated 3x3 convolution."""
    kernel = torch.tensor([0.25, 0.5, 0.25])
    weight = torch.outer(kernel, kernel)[None, None].repeat(x.shape[1], 1, 1, 1)
    for level in range(levels):
        d = 2**level
        x = F.conv2d(F.pad(x, (d, d, d, d), mode="replicate"), weight, dilation=d, groups=x.shape[1])
    return x


def slow_wavelet(frames: Tensor, reference: Tensor) -> Tensor:
    """The published form, at output size."""
    up = F.interpolate(reference, frames.shape[-2:], mode="bicubic", align_corners=False)
    return frames - slow_low_pass(frames) + slow_low_pass(up)


def slow_adain(frames: Tensor, reference: Tensor) -> Tensor:
    up = F.interpolate(reference, frames.shape[-2:], mode="bicubic", align_corners=False)
    dims = {"dim": (-2, -1), "keepdim": True, "correction": 1}
    (var, mean), (var_up, mean_up) = torch.var_mean(frames, **dims), torch.var_mean(up, **dims)
    return (frames - mean) / (var + 1e-5).sqrt() * (var_up + 1e-5).sqrt() + mean_up


def degraded(frames: Tensor, scale: int) -> Tensor:
    """LR frames of another colour and contrast, with noise."""
    lr = F.avg_pool2d(frames, scale)
    cast = torch.tensor([1.1, 0.9, 0.8]).reshape(3, 1, 1)
    return lr * cast + 0.05 + 0.02 * torch.randn(lr.shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("scale", "mean", "inner"), [(1, 1e-6, 1e-5), (2, 0.001, 0.004), (4, 0.001, 0.004), (8, 0.003, 0.02)]
)
def test_wavelet_is_close_to_the_plain_form(scale: int, mean: float, inner: float) -> None:
    frames = picture(160, 192)
    reference = degraded(frames, scale)
    difference = (wavelet(frames, reference) - slow_wavelet(frames, reference)).abs()
    change = (slow_wavelet(frames, reference) - frames).abs().mean()
    assert change > 0.02
    assert difference.mean() < mean
    assert difference[..., 48:-48, 48:-48].max() < inner
    # the replicated border pixels of a noisy reference weigh differently at the two sizes
    assert difference.max() < 0.05


def test_wavelet_equals_the_plain_form_for_a_constant_cast() -> None:
    frames = picture(96, 128)
    reference = F.avg_pool2d(frames, 4) + 0.1
    torch.testing.assert_close(wavelet(frames, reference), frames + 0.1, rtol=0, atol=1e-5)


def test_wavelet_keeps_detail() -> None:
    frames = picture(96, 128)
    checker = 0.05 * (1 - 2 * (torch.arange(96)[:, None] + torch.arange(128)[None]).remainder(2).float())
    reference = degraded(frames, 4)
    torch.testing.assert_close(wavelet(frames + checker, reference), wavelet(frames, reference) + checker)


def test_adain_is_close_to_the_plain_form() -> None:
    frames = picture(96, 128)
    reference = F.avg_pool2d(frames, 4) * 0.8 + 0.1
    torch.testing.assert_close(adain(frames, reference), slow_adain(frames, reference), rtol=0, atol=0.015)


def test_adain_gives_the_statistics_of_the_reference() -> None:
    frames, reference = picture(64, 64), degraded(picture(64, 64, seed=2), 4)
    out = adain(frames, reference)
    torch.testing.assert_close(out.mean((-2, -1)), reference.mean((-2, -1)), rtol=0, atol=1e-4)
    torch.testing.assert_close(out.std((-2, -1)), reference.std((-2, -1)), rtol=0.01, atol=1e-3)


def test_flat_frames_stay_finite() -> None:
    flat = torch.full((1, 3, 32, 32), 0.5)
    for fix in (adain, wavelet):
        out = fix(flat, torch.full((1, 3, 8, 8), 0.25))
        torch.testing.assert_close(out, torch.full_like(out, 0.25))


@given(
    kind=st.sampled_from(["wavelet", "adain", "none"]),
    count=st.integers(1, 4),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    scale=st.integers(1, 4),
)
@settings(max_examples=40, deadline=None)
def test_frames_do_not_influence_each_other(kind: str, count: int, height: int, width: int, scale: int) -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(count, 3, height * scale, width * scale, generator=generator)
    reference = torch.rand(count, 3, height, width, generator=generator)
    together = apply_color_(kind, frames.clone(), reference)
    # as frames come out of the blender: channels first in memory
    strided = frames.transpose(0, 1).contiguous().transpose(0, 1)
    alone = torch.cat([apply_color_(kind, frames[i : i + 1].clone(), reference[i : i + 1]) for i in range(count)])
    assert torch.equal(together, alone)
    assert torch.equal(together, apply_color_(kind, strided, reference))


@given(height=st.integers(1, 9), width=st.integers(1, 9), rows=st.integers(1, 5), columns=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_fast_resampling_equals_interpolate(height: int, width: int, rows: int, columns: int) -> None:
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(3, height, width, generator=generator)
    large = torch.rand(3, height * rows, width * columns, generator=generator)
    up = F.interpolate(small[None], large.shape[-2:], mode="bilinear", align_corners=False)[0]
    down = F.interpolate(large[None], (height, width), mode="area")[0]
    torch.testing.assert_close(shrink(large, height, width), down)
    expected = large + up
    add_upsampled_(large, small)
    torch.testing.assert_close(large, expected)


@pytest.mark.parametrize("size", [(33, 50), (16, 47)])
def test_odd_ratios_work(size: tuple[int, int]) -> None:
    frames = picture(*size)
    out = wavelet(frames, torch.rand(2, 3, 11, 13))
    assert out.shape == frames.shape
    assert math.isfinite(float(out.sum()))


def test_the_input_is_not_changed() -> None:
    frames, reference = picture(32, 32), torch.rand(2, 3, 8, 8)
    before = frames.clone()
    wavelet(frames, reference)
    adain(frames, reference)
    assert torch.equal(frames, before)
