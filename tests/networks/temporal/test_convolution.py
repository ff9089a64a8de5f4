"""Convolutions over folded frames against conv3d on clips, and what is a view of what."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from limpid.networks.temporal.convolution import as_clips, as_frames, convolve_clip
from limpid.networks.temporal.mgld_vsr_mixing import TemporalMixing
from limpid.train.networks.critics import spectral_norm


def folded(clips: int, frames: int) -> torch.Tensor:
    x = torch.randn(clips * frames, 6, 5, 7, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("clips", "frames"), [(1, 3), (2, 3), (1, 1), (3, 1)])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 1, 1), (5, 1, 1)])
def test_convolve_clip_is_conv3d(clips: int, frames: int, kernel: tuple[int, int, int]) -> None:
    x, weight, bias = folded(clips, frames), torch.randn(4, 6, *kernel), torch.randn(4)
    plain = x.unflatten(0, (clips, frames)).transpose(1, 2).contiguous()
    wanted = F.conv3d(plain, weight, bias, padding=[size // 2 for size in kernel]).transpose(1, 2).flatten(0, 1)
    found = convolve_clip(x, frames, weight, bias)
    assert (found - wanted).abs().max() < 3e-5
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("clips", "frames"), [(1, 3), (2, 3), (2, 1)])
def test_clips_are_a_view(clips: int, frames: int) -> None:
    x = folded(clips, frames)
    seen = as_clips(x, frames)
    assert seen.shape == (clips, 6, frames, 5, 7)
    assert seen.data_ptr() == x.data_ptr()
    assert seen.is_contiguous(memory_format=torch.channels_last_3d)
    assert as_frames(seen).data_ptr() == x.data_ptr()
    assert torch.equal(as_frames(seen), x)


def test_frames_that_are_not_whole_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="4 frames are not whole clips of 3"):
        as_clips(folded(1, 4), 3)


def test_a_learned_share_is_mixed_in_under_autocast() -> None:
    """Convolutions then give bfloat16 while the share stays in float32; and critics are normed in full precision."""
    mixing = TemporalMixing(8)
    torch.nn.init.ones_(mixing.alpha)
    x = torch.randn(4, 8, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = mixing(x, 4)
        norm = spectral_norm(mixing.conv.weight)
    assert mixed.dtype == x.dtype
    torch.testing.assert_close(mixed, mixing(x, 4), rtol=0.05, atol=0.05)
    assert norm.dtype == torch.float32
