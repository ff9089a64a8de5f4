"""Detail averaged along the motion: what stays, what is averaged, and what is left alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.consistency.detail_filter import DetailFilter, filtered_detail, likeness
from limpid.consistency.lane_flow import LaneFlows

SIZE = (12, 16)


def still(frames: int) -> LaneFlows:
    return LaneFlows(torch.zeros(frames - 1, 2, *SIZE), torch.zeros(frames - 1, 2, *SIZE))


def plain(lr: Tensor) -> Tensor:
    return F.interpolate(lr, scale_factor=2, mode="bicubic")


def test_what_is_the_same_in_all_frames_stays() -> None:
    lr = torch.rand(1, 3, *SIZE).repeat(4, 1, 1, 1)
    pictures = plain(lr) + 0.1 * torch.rand(1, 3, 24, 32)
    torch.testing.assert_close(filtered_detail(pictures, lr, still(4), 0.5), pictures, atol=1e-6, rtol=0)


def test_detail_that_flickers_is_averaged_by_weight() -> None:
    lr, noise = torch.rand(1, 3, *SIZE).repeat(3, 1, 1, 1), torch.randn(3, 3, 24, 32)
    made = filtered_detail(plain(lr) + noise, lr, still(3), 0.5) - plain(lr)
    torch.testing.assert_close(made[1], (noise[1] + 0.5 * noise[0] + 0.5 * noise[2]) / 2, atol=1e-5, rtol=0)
    torch.testing.assert_close(made[0], (noise[0] + 0.5 * noise[1]) / 1.5, atol=1e-5, rtol=0)


def test_it_follows_the_motion() -> None:
    """A picture that moves by one LR pixel per frame, with detail that moves along."""
    wide, detail = torch.rand(3, SIZE[0], SIZE[1] + 2), torch.rand(3, 24, 2 * SIZE[1] + 4)
    lr = torch.stack([wide[..., t : t + SIZE[1]] for t in range(3)])
    moving = torch.stack([detail[..., 2 * t : 2 * t + 2 * SIZE[1]] for t in range(3)])
    flow = torch.zeros(2, 2, *SIZE)
    flow[:, 0] = -1
    made = filtered_detail(plain(lr) + moving, lr, LaneFlows(flow, -flow), 1.0) - plain(lr)
    torch.testing.assert_close(made[..., 4:-4], moving[..., 4:-4], atol=1e-5, rtol=0)


def test_inputs_that_differ_and_flows_that_do_not_come_back_are_left_alone() -> None:
    lr, noise = torch.rand(2, 3, *SIZE), torch.randn(2, 3, 24, 32)
    assert float(likeness(lr[:1], lr[:1]).min()) == 1
    lr[1] = 1 - (lr[0] > 0.5).float()
    pictures = plain(lr) + noise
    torch.testing.assert_close(filtered_detail(pictures, lr, still(2), 1.0), pictures, atol=1e-3, rtol=0)
    same = lr[:1].repeat(2, 1, 1, 1)
    odd = LaneFlows(torch.full((1, 2, *SIZE), 3.0), torch.full((1, 2, *SIZE), 3.0))
    torch.testing.assert_close(filtered_detail(pictures, same, odd, 1.0), pictures, atol=1e-5, rtol=0)


def test_a_single_frame_is_left_as_it_is() -> None:
    strategy = DetailFilter(pictures=lambda x: x, latents=lambda x: x)
    assert strategy.halo_frames(1) == (1, 1)
    x0 = torch.rand(1, 3, 1, 8, 8)
    assert strategy.on_x0(x0, None, None, None) is x0  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_means_of_frames_stay_theirs(weight: float) -> None:
    lr = torch.rand(1, 3, *SIZE).repeat(3, 1, 1, 1)
    made = filtered_detail(plain(lr), lr, still(3), weight)
    torch.testing.assert_close(made, plain(lr), atol=1e-6, rtol=0)
