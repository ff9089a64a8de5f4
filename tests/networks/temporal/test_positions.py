"""Positions of frames: rotation by complex numbers, classes of distance as T5 has them."""

from __future__ import annotations

import pytest
import torch

from limpid.networks.temporal.positions import (
    RelativePositionBias,
    distance_buckets,
    frame_positions,
    rotary_frequencies,
    rotate,
)


@pytest.mark.parametrize("width", [32, 48, 16])
@pytest.mark.parametrize("grad", [False, True])
def test_rotation_is_a_product_of_complex_numbers(width: int, grad: bool) -> None:
    x = torch.randn(2, 5, width)
    dims = min(width, 32)
    angles = torch.arange(5.0)[:, None] * torch.tensor([1e4 ** (-2 * i / 32) for i in range(dims // 2)])
    turned = torch.view_as_complex(x[..., :dims].unflatten(-1, (-1, 2)).contiguous()) * torch.polar(
        torch.ones_like(angles), angles
    )
    wanted = torch.cat((torch.view_as_real(turned).flatten(-2), x[..., dims:]), dim=-1)
    with torch.set_grad_enabled(grad):
        out = rotate(x.clone(), frame_positions(5, x.device, x.dtype))
    torch.testing.assert_close(out, wanted, rtol=1e-5, atol=1e-6)


def test_scores_depend_on_the_distance_of_frames_only() -> None:
    q, k = torch.randn(1, 32), torch.randn(1, 32)
    positions = frame_positions(6, q.device, q.dtype)
    scores = rotate(q.repeat(6, 1), positions) @ rotate(k.repeat(6, 1), positions).T
    for offset in range(-5, 6):
        line = scores.diagonal(offset)
        torch.testing.assert_close(line, line[:1].expand_as(line), rtol=0, atol=1e-5)


def test_frequencies_fall_from_one() -> None:
    frequencies = rotary_frequencies()
    assert frequencies.shape == (16,)
    assert frequencies[0] == 1
    torch.testing.assert_close(frequencies[8], torch.tensor(0.01))


def test_angles_are_exact_in_half_precision() -> None:
    low, high = (frame_positions(9, torch.device("cpu"), dtype) for dtype in (torch.float16, torch.float64))
    assert (low.cos - high.cos).abs().max() < 1e-3


def test_classes_of_distance_are_those_of_t5() -> None:
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5").T5Attention
    offsets = torch.arange(-200, 201)
    wanted = t5._relative_position_bucket(offsets, bidirectional=True, num_buckets=32, max_distance=32)
    assert distance_buckets(offsets).equal(wanted)


def test_near_distances_have_a_class_each() -> None:
    found = distance_buckets(torch.arange(-7, 8)).tolist()
    assert found == [7, 6, 5, 4, 3, 2, 1, 0, 17, 18, 19, 20, 21, 22, 23]


def test_bias_is_looked_up_by_offset_from_row_to_column() -> None:
    bias = RelativePositionBias(heads=3)
    table = bias(frame_positions(4, torch.device("cpu"), torch.float32).buckets)
    assert table.shape == (1, 3, 4, 4)
    # the frame after (offset +1) has class 17, the one before class 1
    assert table[0, :, 1, 2].equal(bias.weight[17])
    assert table[0, :, 2, 1].equal(bias.weight[1])
