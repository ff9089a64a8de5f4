"""Resizing in pieces: the same bits as the whole, and what PyTorch computes to rounding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.restoration.resize import axis_taps, owned, resize, resize_part, resize_reach
from limpid.tiling.plan import AxisSpan


@given(st.integers(4, 60), st.integers(4, 60), st.integers(4, 90), st.integers(4, 90))
@settings(max_examples=40, deadline=None)
def test_whole_pictures_are_resized_as_by_pytorch(height: int, width: int, to_height: int, to_width: int) -> None:
    frames = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    due = F.interpolate(frames, (to_height, to_width), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
    torch.testing.assert_close(resize(frames, to_height, to_width), due, rtol=0, atol=1e-5)


@given(
    lr=st.tuples(st.integers(4, 40), st.integers(4, 40)),
    targets=st.tuples(st.integers(4, 120), st.integers(4, 120)),
    scale=st.integers(1, 4),
    tile=st.integers(3, 24),
)
@settings(max_examples=40, deadline=None)
def test_pieces_give_the_bits_of_the_whole(
    lr: tuple[int, int], targets: tuple[int, int], scale: int, tile: int
) -> None:
    height, width = lr
    picture = torch.rand(3, height * scale, width * scale, generator=torch.Generator().manual_seed(1))
    whole, made = resize(picture[None], *targets)[0], torch.full((3, *targets), -1.0)
    reach = max(resize_reach(length, scale, target) for length, target in zip(lr, targets, strict=True))
    for rows in pieces_of(height, tile, reach):
        for columns in pieces_of(width, tile, reach):
            spans = (rows, columns)
            axes = zip(spans, lr, targets, strict=True)
            wanted = [owned(s.keep_start, s.keep_stop, length, target) for s, length, target in axes]
            if all(wanted):
                read = (slice(s.start * scale, s.stop * scale) for s in spans)
                part = resize_part(picture[(slice(None), *read)], lr, targets, spans, wanted, scale)
                made[:, wanted[0].start : wanted[0].stop, wanted[1].start : wanted[1].stop] = part
    assert torch.equal(made, whole)


def pieces_of(length: int, tile: int, reach: int) -> list[AxisSpan]:
    starts = range(0, length, tile)
    kept = [(start, min(start + tile, length)) for start in starts]
    return [AxisSpan(start=max(a - reach, 0), stop=min(b + reach, length), keep_start=a, keep_stop=b) for a, b in kept]


def test_a_piece_without_all_taps_is_refused() -> None:
    spans = (AxisSpan(start=4, stop=8, keep_start=4, keep_stop=8), AxisSpan(start=0, stop=8, keep_start=0, keep_stop=8))
    with pytest.raises(ValueError, match="do not hold the taps"):
        resize_part(torch.rand(3, 4, 8), (8, 8), (4, 4), spans, [range(2, 4), range(4)], 1)


@pytest.mark.parametrize(("target", "reach"), [(400, 0), (200, 1), (100, 2), (800, 1)])
def test_how_far_resizing_looks(target: int, reach: int) -> None:
    assert resize_reach(100, 4, target) == reach


def test_weights_sum_to_one_at_borders_too() -> None:
    for source, target in ((100, 33), (17, 90), (64, 64)):
        assert abs(axis_taps(source, target).weights.sum(axis=1) - 1).max() < 1e-6
