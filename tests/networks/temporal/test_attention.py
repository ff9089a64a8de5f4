"""Attention over time against scores that are written out, and what its processor promises."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_dispatch import AttentionBackendName
from torch import Tensor

from limpid.networks.temporal import attention
from limpid.networks.temporal.attention import TemporalAttention
from limpid.networks.temporal.diffvsr_multi_scale import CoarseTemporalAttention
from limpid.networks.temporal.positions import FramePositions, distance_buckets, frame_positions, rotate


def positions(frames: int) -> FramePositions:
    return frame_positions(frames, torch.device("cpu"), torch.float32)


def make(channels: int = 96, heads: int = 2) -> TemporalAttention:
    torch.manual_seed(0)
    return TemporalAttention(channels, heads)


def written_out(attn: TemporalAttention, tokens: Tensor, frames: int) -> Tensor:
    """Each place and head by itself, with a softmax over explicit scores."""
    b, n, width = len(tokens) // frames, tokens.shape[1], tokens.shape[2] // attn.heads
    out = torch.zeros_like(tokens)
    offsets = torch.arange(frames)[None] - torch.arange(frames)[:, None]
    for clip in range(b):
        own = slice(clip * frames, (clip + 1) * frames)
        for place in range(n):
            x = tokens[own, place]
            for head in range(attn.heads):
                part = slice(head * width, (head + 1) * width)
                q, k, v = (x @ to.weight[part].T for to in (attn.to_q, attn.to_k, attn.to_v))
                q, k = (rotate(y.clone(), positions(frames)) for y in (q * width**-0.5, k))
                scores = q @ k.T + attn.position_bias.weight[distance_buckets(offsets), head]
                out[own, place, part] = scores.exp() / scores.exp().sum(dim=1, keepdim=True) @ v
    return out @ attn.to_out[0].weight.T + attn.to_out[0].bias


@pytest.mark.parametrize(("clips", "frames", "channels"), [(1, 5, 96), (2, 3, 64), (1, 1, 64), (1, 12, 32)])
def test_equals_scores_written_out(clips: int, frames: int, channels: int) -> None:
    attn = make(channels)
    tokens = torch.randn(clips * frames, 6, channels)
    with torch.no_grad():
        wanted = written_out(attn, tokens, frames)
        torch.testing.assert_close(attn(tokens, positions(frames)), wanted, rtol=1e-5, atol=1e-5)
    # the way that keeps gradients
    torch.testing.assert_close(attn(tokens, positions(frames)), wanted, rtol=1e-5, atol=1e-5)


def test_tokens_are_left_as_they_are() -> None:
    tokens = torch.randn(3, 4, 96)
    before = tokens.clone()
    with torch.no_grad():
        make()(tokens, positions(3))
    assert tokens.equal(before)


def test_more_places_than_a_kernel_takes_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    attn, tokens = make(), torch.randn(6, 11, 96)
    with torch.no_grad():
        wanted = attn(tokens, positions(3))
        monkeypatch.setattr(attention, "MAX_SEQUENCES", 4)
        torch.testing.assert_close(attn(tokens, positions(3)), wanted)


def test_backends_that_take_no_bias_are_stood_in_for() -> None:
    attn, tokens = make(), torch.randn(3, 4, 96)
    with torch.no_grad():
        wanted = attn(tokens, positions(3))
        attn.processor._attention_backend = AttentionBackendName.FLASH
        assert attn(tokens, positions(3)).equal(wanted)


def test_heads_need_pairs_of_channels() -> None:
    with pytest.raises(ValueError, match="96 channels do not make 5 heads"):
        TemporalAttention(96, 5)


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (5, 3), (1, 2)])
def test_coarse_branch_written_out(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    branch, frames, (h, w) = CoarseTemporalAttention(32, 1), 3, size
    tokens = torch.randn(frames, h * w, 32)
    with torch.no_grad():
        small = branch.down_conv(tokens.transpose(1, 2).unflatten(2, size))
        rows = small.flatten(2).transpose(1, 2)
        rows = rows + written_out(branch.attn, branch.norm(rows), frames)
        up = branch.up_conv(rows.transpose(1, 2).unflatten(2, small.shape[2:]))
        up = torch.nn.functional.interpolate(up, size, mode="bilinear", align_corners=False)
        wanted = 0.5 * up.flatten(2).transpose(1, 2)
        torch.testing.assert_close(branch(tokens, positions(frames), size), wanted, rtol=1e-5, atol=1e-5)
