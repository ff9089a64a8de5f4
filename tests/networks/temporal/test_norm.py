"""Group norm over a window against group norm of the whole clip."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from limpid.networks.temporal.norm import WindowGroupNorm


@pytest.mark.parametrize("clips", [1, 2])
def test_statistics_are_pooled_over_the_frames_of_a_clip(clips: int) -> None:
    x = torch.randn(clips * 3, 8, 5, 7) * torch.arange(1.0, 1 + clips * 3)[:, None, None, None]
    norm = WindowGroupNorm(4, 8)
    torch.nn.init.normal_(norm.weight)
    clip = x.unflatten(0, (clips, 3)).transpose(1, 2).contiguous()
    wanted = F.group_norm(clip, 4, norm.weight, norm.bias, norm.eps).transpose(1, 2).flatten(0, 1)
    found = norm(x, 3)
    assert (found - wanted).abs().max() < 1e-5
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_per_frame_and_one_frame_are_the_plain_norm() -> None:
    x = torch.randn(6, 8, 5, 7)
    wanted = F.group_norm(x, 4)
    assert (WindowGroupNorm(4, 8, norm_scope="frame")(x, 3) - wanted).abs().max() < 1e-5
    assert (WindowGroupNorm(4, 8)(x, 1) - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("clips", [1, 2])
def test_the_pooled_view_copies_nothing(clips: int) -> None:
    x = torch.randn(clips * 3, 8, 5, 7).contiguous(memory_format=torch.channels_last)
    pooled = WindowGroupNorm(4, 8).pooled(x, 3)
    assert pooled.data_ptr() == x.data_ptr()
    assert pooled.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("needs_gradient", [False, True])
def test_parameters_get_gradients_whatever_the_input(needs_gradient: bool) -> None:
    norm = WindowGroupNorm(4, 8)
    x = torch.randn(6, 8, 5, 7).contiguous(memory_format=torch.channels_last).requires_grad_(needs_gradient)
    norm(x, 3).square().mean().backward()
    assert norm.weight.grad is not None
    assert norm.weight.grad.any()
