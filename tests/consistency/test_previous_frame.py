"""What a frame is told of the one before: warped along a known motion, and nothing where a shot begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.consistency.previous_frame import PREVIOUS, PREVIOUS_LR, PreviousFrame, stretched_warp
from limpid.flow.warp import warp
from limpid.method import Lane, LaneContext
from limpid.types import Segment, Window


@dataclass(frozen=True)
class Told:
    previous: Tensor | None = None

    def told(self, previous: Tensor) -> Told:
        return Told(previous)


def context(lr: Tensor, **carry: Tensor) -> LaneContext:
    window = Window(start=3, stop=4)
    segment = Segment(
        index=0, shot=0, shot_start=0, shot_stop=9, core=Window(start=0, stop=6), halo=Window(start=0, stop=6)
    )
    return LaneContext(segment=segment, lane=Lane(window=window), lr=lr, condition=Told(), seed=0, carry_in=carry)


def test_every_frame_is_a_lane() -> None:
    lanes = PreviousFrame().lanes(context(torch.zeros(1, 3, 4, 4)).segment)
    assert [(lane.window.start, lane.window.stop, lane.padding) for lane in lanes] == [(i, i + 1, 0) for i in range(6)]


def test_the_first_frame_of_a_shot_is_told_nothing() -> None:
    strategy, here = PreviousFrame(), context(torch.zeros(1, 3, 4, 4))
    assert strategy.begin(here) is None
    assert strategy.on_condition(here.condition, here, None) is here.condition


def test_a_frame_is_told_the_one_before_where_it_has_moved_to() -> None:
    """A picture that moves by two LR pixels, found by DIS: what is told is this frame, in [-1, 1]."""
    generator = torch.Generator().manual_seed(0)
    wide = F.interpolate(torch.rand(1, 3, 12, 20, generator=generator), (48, 80), mode="bicubic").clamp(0, 1)
    before, now = wide[..., 8:72], wide[..., 6:70]
    large = [F.interpolate(x, scale_factor=4, mode="bicubic") for x in (before, now)]
    strategy, here = PreviousFrame(), context(now, **{PREVIOUS: large[0], PREVIOUS_LR: before})
    told: Any = strategy.on_condition(here.condition, here, strategy.begin(here))
    inside = (..., slice(40, -40), slice(40, -40))
    error = (told.previous - (2 * large[1] - 1))[inside].abs().mean()
    still = (2 * large[0] - 2 * large[1])[inside].abs().mean()
    assert error < 0.05 < 0.15 < still


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 16)])
def test_the_stretch_is_half_a_pixel_at_the_edges_and_none_in_the_middle(size: tuple[int, int]) -> None:
    height, width = size
    ramp = torch.arange(width, dtype=torch.float32).expand(1, 1, height, width)
    rows, columns = (torch.arange(side) * side / max(side - 1, 1) - 0.5 - torch.arange(side) for side in size)
    outwards = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)])[None]
    assert columns[0] == -0.5 and columns[-1] == (0.5 if width > 1 else -0.5)
    wanted = warp(ramp, outwards, "bilinear")
    torch.testing.assert_close(stretched_warp(ramp, torch.zeros(1, 2, *size)), wanted, rtol=0, atol=1e-5)


def test_what_is_left_is_what_was_decoded_and_what_it_was_made_of() -> None:
    strategy, lr = PreviousFrame(), torch.rand(1, 3, 5, 7)
    here = context(lr)
    frames = torch.randn(1, 3, 20, 28)
    strategy.on_frames(frames, here, None)
    assert torch.equal(here.carry_out[PREVIOUS], frames)
    assert torch.equal(here.carry_out[PREVIOUS_LR], lr)
    frames.zero_()  # colours are corrected in place afterwards
    assert here.carry_out[PREVIOUS].any()
