"""Shifted channels against a loop, and their layout."""

from __future__ import annotations

import torch

from limpid.networks.temporal.shift import shift_time


def test_shift_equals_a_loop_over_frames() -> None:
    x = torch.randn(2 * 5, 6, 3, 4)
    clips = x.view(2, 5, 6, 3, 4)
    expected = clips.clone()
    for t in range(5):
        expected[:, t, :2] = clips[:, max(t - 1, 0), :2]
        expected[:, t, 2:4] = clips[:, min(t + 1, 4), 2:4]
    assert torch.equal(shift_time(x, 5, 2), expected.view_as(x))


def test_shift_keeps_channels_last() -> None:
    x = torch.randn(4, 16, 6, 8).contiguous(memory_format=torch.channels_last)
    assert shift_time(x, 4, 2).is_contiguous(memory_format=torch.channels_last)
