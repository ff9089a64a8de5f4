"""Warping, resizing and checking flow against loops over pixels, and estimators on pictures that were moved."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from limpid.flow.estimate import DISFlow
from limpid.flow.warp import resize_flow, unoccluded, valid_flow, warp

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden"


def random(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pixel(x: Tensor, column: int, row: int) -> Tensor:
    """``c h w`` at one place, zero outside."""
    inside = 0 <= column < x.shape[2] and 0 <= row < x.shape[1]
    return x[:, row, column] if inside else torch.zeros(x.shape[0])


def slow_fetch(x: Tensor, column: float, row: float, mode: str) -> Tensor:
    if mode == "nearest":
        return pixel(x, round(column), round(row))
    left, top = math.floor(column), math.floor(row)
    a, b = column - left, row - top
    return (1 - b) * ((1 - a) * pixel(x, left, top) + a * pixel(x, left + 1, top)) + b * (
        (1 - a) * pixel(x, left, top + 1) + a * pixel(x, left + 1, top + 1)
    )


def slow_warp(x: Tensor, flow: Tensor, mode: str) -> Tensor:
    out = torch.zeros_like(x)
    for n in range(x.shape[0]):
        for row in range(x.shape[2]):
            for column in range(x.shape[3]):
                dx, dy = flow[n, :, row, column].tolist()
                out[n, :, row, column] = slow_fetch(x[n], column + dx, row + dy, mode)
    return out


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 4), (6, 1), (1, 1)])
def test_warp_fetches_each_pixel_along_its_flow(mode: str, height: int, width: int) -> None:
    x = random(2, 3, height, width, seed=1)
    flow = random(2, 2, height, width, seed=2, scale=1.7)
    torch.testing.assert_close(warp(x, flow, mode), slow_warp(x, flow, mode), rtol=0, atol=1e-5)  # type: ignore[arg-type]


@settings(max_examples=25)
@given(height=st.integers(1, 40), width=st.integers(1, 40), dx=st.integers(-3, 3), dy=st.integers(-3, 3))
def test_a_nearest_warp_by_whole_pixels_moves_bits(height: int, width: int, dx: int, dy: int) -> None:
    x = random(1, 2, height, width)
    flow = torch.tensor([dx, dy], dtype=torch.float32).reshape(1, 2, 1, 1).expand(1, 2, height, width)
    moved = warp(x, flow)
    assert torch.equal(moved, slow_warp(x, flow, "nearest"))
    assert warp(x.half(), flow).dtype == torch.float16
    assert torch.equal(warp(x.half(), flow), moved.half())


def test_a_flow_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        warp(random(1, 3, 4, 4), random(1, 2, 4, 5))


def test_resizing_averages_areas_and_scales_each_direction_by_its_own_ratio() -> None:
    flow = random(1, 2, 12, 8)
    small = resize_flow(flow, 4, 4)
    for row in range(4):
        for column in range(4):
            block = flow[0, :, 3 * row : 3 * row + 3, 2 * column : 2 * column + 2].mean(dim=(1, 2))
            torch.testing.assert_close(small[0, :, row, column], block * torch.tensor([4 / 8, 4 / 12]))
    assert resize_flow(flow, 12, 8) is flow


def slow_valid(forward: Tensor, backward: Tensor, delta: float, alpha1: float) -> Tensor:
    _, height, width = forward.shape
    out = torch.zeros(1, height, width, dtype=torch.bool)
    for row in range(height):
        for column in range(width):
            f = forward[:, row, column]
            b = slow_fetch(backward, column + f[0].item(), row + f[1].item(), "bilinear")
            error = (f + b).square().sum()
            out[0, row, column] = bool(error < delta + alpha1 * (f.square().sum() + b.square().sum()))
    return out


@pytest.mark.parametrize(("delta", "alpha1"), [(0.5, 0.0), (0.5, 0.01), (2.0, 0.1)])
def test_flow_is_trusted_where_there_and_back_again_ends_near_the_start(delta: float, alpha1: float) -> None:
    forward = random(1, 2, 9, 11, seed=3)
    backward = -forward + random(1, 2, 9, 11, seed=4, scale=0.4)
    expected = slow_valid(forward[0], backward[0], delta, alpha1)
    assert 0.1 < expected.float().mean() < 0.9
    assert torch.equal(valid_flow(forward, backward, alpha1=alpha1, alpha2=delta)[0], expected)


def test_the_fixed_threshold_trusts_nothing_that_leaves_the_picture() -> None:
    forward = torch.zeros(1, 2, 3, 5)
    forward[:, 0] = 0.9
    backward = -forward
    mask = valid_flow(forward, backward, delta=1.0)[0, 0]
    assert mask[:, :4].all()
    assert not mask[:, 4].any()  # 0.9^2 < 1, but there is no pixel to fetch
    with pytest.raises(ValueError, match="not by both"):
        valid_flow(forward, backward, delta=1.0, alpha2=0.1)


def test_what_is_occluded_or_comes_from_outside_is_not_trusted() -> None:
    """Two pixels to the right: what would come from outside is not trusted, nor what does not come back."""
    flow = torch.zeros(1, 2, 5, 8)
    flow[:, 0] = 2
    assert unoccluded(flow, -flow)[0, 0, 2].tolist() == [True] * 6 + [False] * 2
    assert not unoccluded(flow, flow).any()


@pytest.mark.parametrize(("alpha1", "alpha2"), [(0.001, 0.05), (0.01, 0.5)])
def test_masks_equal_those_of_the_released_code(alpha1: float, alpha2: float) -> None:
    path = GOLDEN / "uav_propagation.cases.safetensors"
    if not path.exists():
        pytest.skip("the golden tensors are not here")
    cases = load_file(path)
    mask = valid_flow(cases["mask/in/flow_a"], cases["mask/in/flow_b"], alpha1=alpha1, alpha2=alpha2)
    assert torch.equal(mask.float(), cases[f"mask/out/valid_{alpha1}_{alpha2}"].float())


def moved_pictures(dx: float, dy: float, height: int, width: int) -> tuple[Tensor, Tensor]:
    """A smooth random picture, and the same moved by (dx, dy) pixels."""
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    waves = random(24, 4, seed=5).abs()

    def draw(x: Tensor, y: Tensor) -> Tensor:
        total = torch.zeros(height, width)
        for a, b, c, d in waves.tolist():
            total += torch.sin(0.7 * a * x + 5 * c) * torch.cos(0.7 * b * y + 5 * d)
        return (0.5 + total / 16).clamp(0, 1).expand(1, 3, height, width)

    return draw(x, y), draw(x - dx, y - dy)


@pytest.mark.parametrize(("dx", "dy"), [(0.0, 0.0), (1.0, 0.0), (-2.0, 1.0), (0.4, -0.3)])
def test_dis_finds_a_motion_at_lr_size(dx: float, dy: float) -> None:
    first, second = moved_pictures(dx, dy, 32, 48)
    flow = DISFlow()(first, second)
    assert flow.shape == (1, 2, 32, 48)
    error = (flow - torch.tensor([dx, dy]).reshape(1, 2, 1, 1))[..., 4:-4, 4:-4].square().sum(dim=1).sqrt()
    assert error.median() < 0.1
    assert error.quantile(0.95) < 0.3


def test_dis_takes_pictures_of_a_few_pixels_and_no_pictures_at_all() -> None:
    assert DISFlow()(torch.rand(2, 3, 2, 5), torch.rand(2, 3, 2, 5)).shape == (2, 2, 2, 5)
    assert DISFlow()(torch.rand(0, 3, 8, 9), torch.rand(0, 3, 8, 9)).shape == (0, 2, 8, 9)
