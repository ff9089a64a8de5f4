"""Noise rescheduling and latent transition: the released code's numbers, and what must hold for any clip."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from limpid.consistency.combine import Combined
from limpid.consistency.propagation import LatentPropagation
from limpid.consistency.transition import (
    LatentTransition,
    NoiseRescheduling,
    compat_weights,
    fuse_latents,
    linear_weights,
    reschedule,
)
from limpid.method import Strategy
from limpid.types import Segment, SettingsError, Window

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden"


def segment_of(halo: tuple[int, int], shot: tuple[int, int], number: int = 0) -> Segment:
    window = Window(start=halo[0], stop=halo[1])
    return Segment(index=0, shot=number, shot_start=shot[0], shot_stop=shot[1], core=window, halo=window)


def windows(strategy: Strategy, halo: tuple[int, int], shot: tuple[int, int]) -> list[tuple[int, int, int]]:
    lanes = strategy.lanes(segment_of(halo, shot))
    return [(lane.window.start, lane.window.stop, lane.padding) for lane in lanes]


# --------------------------------------------------------------------------------------------- transition


@pytest.mark.parametrize("frames", [16, 24])
def test_fusion_equals_the_released_code(frames: int) -> None:
    path = GOLDEN / "diffvsr_fusion.cases.safetensors"
    if not path.exists():
        pytest.skip("the golden tensors are not here")
    cases = load_file(path)
    parts = cases[f"fuse{frames}/in/windows"]
    strategy, out = LatentTransition(fusion_compat=True), parts[0]
    for right in parts[1:]:
        out = torch.cat([out[:, :, :-4], strategy.merge(out[:, :, -4:], right[:, :, :4]), right[:, :, 4:]], dim=2)
    torch.testing.assert_close(out, cases[f"fuse{frames}/out/latents"], rtol=0, atol=1e-6)


def test_weights_are_those_of_diffvsr_equation_4() -> None:
    assert linear_weights(4).tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert linear_weights(1).tolist() == [0.5]
    assert compat_weights(4).tolist() == pytest.approx([0.8, 0.6, 0.4, 0.2])


@given(count=st.integers(1, 12), compat=st.booleans())
def test_weights_of_two_neighbours_sum_to_one(count: int, compat: bool) -> None:
    ones = torch.ones(1, 2, count, 3, 3)
    assert torch.allclose(LatentTransition(fusion_compat=compat).merge(ones, ones), ones)
    picture = torch.randn(1, 2, count, 3, 3)
    torch.testing.assert_close(LatentTransition(fusion_compat=compat).merge(picture, picture), picture)


def test_fusion_goes_from_the_left_to_the_right_frame_by_frame() -> None:
    left, right = torch.zeros(1, 1, 3, 1, 1), torch.ones(1, 1, 3, 1, 1)
    assert fuse_latents(left, right, linear_weights(3)).flatten().tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("halo", "shot", "expected"),
    [
        ((0, 16), (0, 16), [(0, 8, 0), (4, 12, 0), (8, 16, 0)]),
        ((0, 18), (0, 18), [(0, 8, 0), (4, 12, 0), (8, 16, 0), (10, 18, 0)]),
        ((100, 105), (100, 105), [(100, 105, 0)]),
        ((107, 119), (103, 200), [(107, 115, 0), (111, 119, 0)]),
        ((24, 37), (0, 37), [(24, 32, 0), (28, 36, 0), (29, 37, 0)]),
    ],
)
def test_lanes_are_windows_on_the_grid_of_the_shot(
    halo: tuple[int, int], shot: tuple[int, int], expected: list[tuple[int, int, int]]
) -> None:
    assert windows(LatentTransition(), halo, shot) == expected


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (16, [(0, 8, 0), (4, 12, 0), (8, 16, 0)]),
        (13, [(0, 8, 0), (4, 12, 0), (8, 13, 3)]),
        (5, [(0, 5, 3)]),
        (10, [(0, 8, 0), (4, 10, 2), (8, 10, 6)]),
        (1, [(0, 1, 7)]),
    ],
)
def test_padding_fills_the_last_window_by_reflection(frames: int, expected: list[tuple[int, int, int]]) -> None:
    assert windows(LatentTransition(padding_compat=True), (0, frames), (0, frames)) == expected
    if frames > 8:  # only where the shot ends
        assert windows(LatentTransition(padding_compat=True), (0, 8), (0, frames)) == [(0, 8, 0)]


@given(start=st.integers(0, 30), first=st.integers(0, 10), count=st.integers(1, 60), rest=st.integers(0, 20))
def test_lanes_cover_any_segment_in_order(start: int, first: int, count: int, rest: int) -> None:
    halo = (start + 4 * first, start + 4 * first + count)
    found = windows(LatentTransition(), halo, (start, halo[1] + rest))
    assert found[0][0] == halo[0]
    assert found[-1][1] == halo[1]
    assert all(stop - begin == min(8, count) for begin, stop, _ in found)
    assert all(a[0] < b[0] <= a[1] - 4 and a[1] < b[1] for a, b in pairwise(found))


# -------------------------------------------------------------------------------------------- rescheduling


@given(seed=st.integers(0, 2**31), shot=st.integers(0, 1000), grid=st.integers(0, 200))
def test_every_window_on_the_grid_holds_each_of_the_first_noises_once(seed: int, shot: int, grid: int) -> None:
    assert sorted(reschedule(4 * grid + i, shot, seed) for i in range(8)) == list(range(8))


@given(parts=st.integers(2, 5), overlap=st.integers(1, 5), group=st.integers(0, 50))
def test_so_it_is_for_other_windows(parts: int, overlap: int, group: int) -> None:
    window = parts * overlap
    sources = [reschedule(overlap * group + i, 0, 0, window, overlap) for i in range(window)]
    assert sorted(sources) == list(range(window))


def test_the_map_depends_on_seed_and_shot_and_nothing_else() -> None:
    def order(shot: int, seed: int) -> list[int]:
        return [reschedule(frame, shot, seed) for frame in range(64)]

    assert order(0, 0)[:8] == list(range(8))
    assert order(3, 7) == order(3, 7)
    assert len({tuple(order(shot, seed)) for shot in range(4) for seed in range(4)}) == 16
    assert len({tuple(order(0, 0)[i : i + 8]) for i in range(0, 64, 8)}) > 4  # reordered, not repeated


def test_the_map_is_the_same_on_every_machine() -> None:
    assert [reschedule(frame, 1, 2) for frame in range(8, 24)] == PINNED


PINNED = [3, 2, 1, 0, 7, 4, 6, 5, 1, 2, 3, 0, 5, 4, 7, 6]


def test_a_frame_has_the_same_noise_whatever_segment_it_is_in() -> None:
    strategy, shot = NoiseRescheduling(), (50, 200)
    whole = strategy.noise_frames(range(50, 200), segment_of(shot, shot, 3), 11)
    assert set(whole) == set(range(50, 58))
    for start, stop in ((50, 70), (66, 91), (103, 200)):
        part = strategy.noise_frames(range(start, stop), segment_of((start, stop), shot, 3), 11)
        assert list(part) == list(whole)[start - 50 : stop - 50]


def test_a_given_order_takes_the_place_of_the_drawn_one() -> None:
    strategy = NoiseRescheduling(permutation_compat=((3, 1, 0, 2), (6, 7, 4, 5), (9, 8, 11, 10)))
    sources = strategy.noise_frames(range(20), segment_of((0, 20), (0, 20)), 0)
    assert list(sources) == [0, 1, 2, 3, 4, 5, 6, 7, 3, 1, 0, 2, 6, 7, 4, 5, 1, 3, 2, 0]


def test_windows_start_from_the_noise_that_the_released_code_gave_them() -> None:
    path = GOLDEN / "diffvsr_pipeline.cases.safetensors"
    if not path.exists():
        pytest.skip("the golden tensors are not here")
    cases = load_file(path)
    drawn, segment = cases["case0/in/latents"], segment_of((0, 16), (0, 16))
    strategy = NoiseRescheduling(permutation_compat=((3, 1, 0, 2), (6, 7, 4, 5)))
    lanes = LatentTransition().lanes(segment)
    for lane, expected in zip(lanes, cases["case0/out/window_initial_latents"], strict=True):
        sources = strategy.noise_frames(range(lane.window.start, lane.window.stop), segment, 0)
        assert torch.equal(drawn[:, :, list(sources)], expected)


@pytest.mark.parametrize("fields", [{"overlap_frames": 0}, {"overlap_frames": 3}, {"overlap_frames": 8}])
def test_groups_must_fit_the_window(fields: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="multiple of the overlap"):
        NoiseRescheduling(**fields)


def test_impossible_orders_and_overlaps_are_refused() -> None:
    for given_order in (((1, 2, 3),), ((8, 1, 2, 3),)):
        with pytest.raises(SettingsError, match="earlier frames"):
            NoiseRescheduling(permutation_compat=given_order)
    with pytest.raises(SettingsError, match="overlap must be 0 to 7"):
        LatentTransition(overlap_frames=8)


# ------------------------------------------------------------------------------------------------ combined


class Adding(Strategy):
    """Adds to x0 and to the noise's frame numbers."""

    def noise_frames(self, frames: Any, segment: Segment, seed: int) -> Any:
        return [frame + 1 for frame in frames]

    def on_x0(self, x0: Tensor, step: Any, context: Any, state: Any) -> Tensor:
        return x0 + 1

    def on_latent(self, z: Tensor, step: Any, context: Any, state: Any) -> Tensor:
        return 2 * z


def test_combined_runs_every_hook_of_every_strategy() -> None:
    adding = Adding()
    both = Combined(strategies=(adding, LatentPropagation(steps=(0, 1)), LatentTransition(), adding))
    segment = segment_of((0, 16), (0, 16))
    assert both.halo_frames(4) == (10, 10)
    assert both.lanes(segment) == LatentTransition().lanes(segment)
    assert list(both.noise_frames(range(3), segment, 0)) == [2, 3, 4]
    state: tuple[Any, ...] = (None, None, None, None)
    assert both.on_x0(torch.zeros(1), None, None, state) == 2  # type: ignore[arg-type]
    assert both.on_latent(torch.ones(1), None, None, state) == 4  # type: ignore[arg-type]
    left, right = torch.zeros(1, 1, 4, 1, 1), torch.ones(1, 1, 4, 1, 1)
    assert torch.equal(both.merge(left, right), LatentTransition().merge(left, right))
    assert Combined(strategies=()).halo_frames(3) == (0, 0)
    assert Combined(strategies=(Strategy(carries=True), Strategy())).carries


def test_only_one_strategy_of_a_combination_cuts_lanes() -> None:
    with pytest.raises(ValueError, match="LatentTransition and LatentTransition each have their own lanes"):
        Combined(strategies=(LatentTransition(), LatentTransition()))
