"""Latent propagation: the released code's numbers, a loop over pixels as oracle, what must not change anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from limpid.consistency.combine import Combined
from limpid.consistency.propagation import (
    AUTHORS_STEPS,
    Flows,
    LatentPropagation,
    propagate,
    propagate_backward,
    propagate_forward,
    reach_frames,
)
from limpid.consistency.transition import LatentTransition, NoiseRescheduling
from limpid.types import SettingsError

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden"
GOLDEN_CASES: list[dict[str, Any]] = [
    {"case": 0, "alphas": (0.001, 0.05), "interpolation": "nearest", "weight": 0.5},
    {"case": 1, "alphas": (0.01, 0.5), "interpolation": "bilinear", "weight": 0.5},
    {"case": 2, "alphas": (0.001, 0.05), "interpolation": "nearest", "weight": 0.3},
    {"case": 3, "alphas": (0.001, 0.05), "interpolation": "nearest", "weight": 1.0},  # the mode "copy"
]


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    path = GOLDEN / "uav_propagation.cases.safetensors"
    if not path.exists():
        pytest.skip("the golden tensors are not here")
    return load_file(path)


def reduced(flow: Tensor, height: int, width: int) -> Tensor:
    """As the released code does it: areas are averaged, and both directions scaled by the ratio of widths."""
    ratio = width / flow.shape[-1]
    return torch.nn.functional.interpolate(flow, (flow.shape[2], height, width), mode="area") * ratio


@pytest.mark.parametrize("case", GOLDEN_CASES, ids=lambda case: f"case{case['case']}")
def test_equals_the_released_code(golden: dict[str, Tensor], case: dict[str, Any]) -> None:
    def of(kind: str, name: str) -> Tensor:
        return golden[f"case{case['case']}/{kind}/{name}"]

    x0 = of("in", "latents")
    flows = Flows.checked(
        *(reduced(of("in", f"flows_{way}"), *x0.shape[-2:]) for way in ("forward", "backward")),
        adaptive=case["alphas"],
    )
    assert torch.equal(flows.valid_forward.float(), of("out", "valid_backward_pass").float())
    assert torch.equal(flows.valid_backward.float(), of("out", "valid_forward_pass").float())
    weight, interpolation = case["weight"], case["interpolation"]
    first = propagate_backward(x0, flows, weight, interpolation)
    torch.testing.assert_close(first, of("out", "after_backward_pass"), rtol=0, atol=1e-5)
    both = propagate(x0, flows, fusion_weight=weight, interpolation=interpolation)
    torch.testing.assert_close(both, of("out", "latents"), rtol=0, atol=1e-5)


# ------------------------------------------------------------------------------------------------ oracle


def whole_pixel_flows(frames: int, height: int, width: int, seed: int) -> Flows:
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.randint(-2, 3, (1, 2, frames - 1, height, width), generator=generator).float()

    return Flows.checked(draw(), draw(), delta=2.5)


def slow_pass(x0: Tensor, flow: Tensor, valid: Tensor, pairs: list[tuple[int, int]], beta: float) -> Tensor:
    """``pairs``: (frame that is changed, frame it fetches from), in order; a flow of whole pixels."""
    out = x0.clone()
    _, _, _, height, width = x0.shape
    for to, source in pairs:
        pair = min(to, source)
        before = out[0, :, source].clone()
        for row in range(height):
            for column in range(width):
                dx, dy = (int(v) for v in flow[0, :, pair, row, column])
                if valid[0, 0, pair, row, column]:
                    there = 0 <= row + dy < height and 0 <= column + dx < width
                    fetched = before[:, row + dy, column + dx] if there else torch.zeros(x0.shape[1])
                    out[0, :, to, row, column] = beta * fetched + (1 - beta) * out[0, :, to, row, column]
    return out


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_equals_a_loop_over_pixels(beta: float, frames: int) -> None:
    x0 = torch.randn(1, 2, frames, 4, 5, generator=torch.Generator().manual_seed(1))
    flows = whole_pixel_flows(frames, 4, 5, seed=2)
    backward = [(i, i + 1) for i in range(frames - 2, -1, -1)]
    first = slow_pass(x0, flows.forward, flows.valid_forward, backward, beta)
    expected = slow_pass(first, flows.backward, flows.valid_backward, [(i, i - 1) for i in range(1, frames)], beta)
    torch.testing.assert_close(propagate(x0, flows, fusion_weight=beta), expected, rtol=0, atol=1e-6)


# -------------------------------------------------------------------------------------------- invariants


def zero_flows(frames: int, height: int, width: int, trusted: bool = True) -> Flows:
    flow = torch.zeros(1, 2, frames - 1, height, width)
    mask = torch.full((1, 1, frames - 1, height, width), trusted)
    return Flows(forward=flow, backward=flow, valid_forward=mask, valid_backward=mask)


sizes = {"frames": st.integers(1, 6), "height": st.integers(1, 9), "width": st.integers(1, 9)}
weights = st.floats(0, 1)


@given(**sizes, beta=weights, interpolation=st.sampled_from(["nearest", "bilinear"]))
def test_identical_frames_that_stand_still_stay(
    frames: int, height: int, width: int, beta: float, interpolation: Any
) -> None:
    x0 = torch.randn(1, 3, 1, height, width).expand(1, 3, frames, height, width)
    out = propagate(x0, zero_flows(frames, height, width), fusion_weight=beta, interpolation=interpolation)
    torch.testing.assert_close(out, x0, rtol=0, atol=1e-5)


@given(**sizes, seed=st.integers(0, 100))
def test_a_weight_of_zero_changes_nothing(frames: int, height: int, width: int, seed: int) -> None:
    x0 = torch.randn(1, 3, frames, height, width)
    flows = whole_pixel_flows(frames, height, width, seed)
    assert torch.equal(propagate(x0, flows, fusion_weight=0.0), x0)


@given(**sizes, beta=weights)
def test_nothing_is_propagated_where_no_flow_is_trusted(frames: int, height: int, width: int, beta: float) -> None:
    x0 = torch.randn(1, 3, frames, height, width)
    assert torch.equal(propagate(x0, zero_flows(frames, height, width, trusted=False), fusion_weight=beta), x0)


@given(**sizes, beta=weights, seed=st.integers(0, 100))
def test_what_comes_out_lies_between_what_went_in(frames: int, height: int, width: int, beta: float, seed: int) -> None:
    """Fusing is a mean, so no value can leave the range of the input (and of the zeros outside the picture)."""
    x0 = torch.rand(1, 2, frames, height, width)
    out = propagate(x0, whole_pixel_flows(frames, height, width, seed), fusion_weight=beta)
    assert out.min() >= 0
    assert out.max() <= x0.max() + 1e-6


# ----------------------------------------------------------------------------------------- hyper-parameters


def test_steps_are_loop_indices_or_fractions_of_the_schedule() -> None:
    assert LatentPropagation(steps=(24, 26, 28)).indices(30) == {24, 26, 28}
    assert LatentPropagation(steps=(0.0, 0.8, 0.99)).indices(30) == {0, 24, 29}
    assert LatentPropagation(steps=(0.5, 2)).indices(4) == {2}
    assert LatentPropagation(steps=(0.29,)).indices(100) == {29}


def test_the_authors_steps_are_theirs_and_exist_in_every_run() -> None:
    strategy = LatentPropagation(steps=AUTHORS_STEPS)
    assert strategy.indices(30) == {24, 26, 28}
    assert [sorted(strategy.indices(count)) for count in (1, 2, 4, 10, 50)] == [[0], [1], [3], [8, 9], [40, 43, 46]]


@pytest.mark.parametrize(
    ("steps", "halo"),
    [((), 0), ((3,), 7), ((3, 4), 10), ((3, 4, 5), 12), (tuple(range(10)), 24), ((0.5, 0.51), 7)],
)
def test_the_halo_is_how_far_the_steps_reach_up_to_24(steps: tuple[int | float, ...], halo: int) -> None:
    assert LatentPropagation(steps=steps).halo_frames(10) == (halo, halo)
    assert LatentPropagation(steps=steps, fusion_weight=0.0).halo_frames(10) == (0, 0)


@pytest.mark.parametrize("passes", [1, 2, 3, 5])
@pytest.mark.parametrize("beta", [0.3, 0.5])
def test_beyond_the_reach_next_to_nothing_is_left(passes: int, beta: float) -> None:
    """A frame that alone is bright, propagated by so many passes: what lies beyond the reach on either side."""
    reach, frames = reach_frames(passes, beta), 101
    x0 = torch.zeros(1, 1, frames, 1, 1)
    x0[:, :, frames // 2] = 1.0
    for _ in range(passes):
        x0 = propagate_forward(x0, zero_flows(frames, 1, 1), beta)
    assert float(x0[:, :, frames // 2 + reach :].sum()) > 1 / 256
    assert float(x0[:, :, frames // 2 + reach + 1 :].sum()) <= 1 / 256


def test_whole_shots_are_wanted_where_propagation_reaches_over_them() -> None:
    on, off = LatentPropagation(steps=(1,)), LatentPropagation()
    assert on.whole_shots and not off.whole_shots
    assert Combined(strategies=(NoiseRescheduling(), on)).whole_shots
    assert not Combined(strategies=(NoiseRescheduling(), off)).whole_shots
    assert not Combined(strategies=(LatentTransition(), on)).whole_shots


@pytest.mark.parametrize(
    "fields",
    [{"steps": (-1,)}, {"steps": (1.0,)}, {"steps": (-0.5,)}, {"fusion_weight": 1.5}, {"consistency_px2": 0.0}],
)
def test_impossible_values_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        LatentPropagation(**fields)


def test_a_step_that_no_run_reaches_is_refused() -> None:
    with pytest.raises(SettingsError, match="step 28 does not exist: a run of 20 has 0 to 19"):
        LatentPropagation(steps=(8, 28)).halo_frames(20)
