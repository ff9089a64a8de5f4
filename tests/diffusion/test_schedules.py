from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.diffusion.schedules import Betas, karras_steps, spaced_timesteps, truncate, vp_steps, vp_steps_at


@given(n=st.integers(1, 1000), spacing=st.sampled_from(["leading", "trailing", "linspace"]))
@settings(deadline=None)
def test_timesteps_fall_and_stay_in_range(n: int, spacing: str) -> None:
    timesteps = spaced_timesteps(n, 1000, spacing)
    assert len(timesteps) == n
    assert all(a > b for a, b in pairwise(timesteps))
    assert 999 >= timesteps[0] >= timesteps[-1] >= 0


@pytest.mark.parametrize("num_steps", [0, -1, 1001])
def test_impossible_step_counts_are_refused(num_steps: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 1000"):
        vp_steps(num_steps)


def test_timesteps_must_fall() -> None:
    with pytest.raises(ValueError, match="must fall"):
        vp_steps_at([10, 10])


def test_respacing_of_mgld_takes_both_ends() -> None:
    steps = vp_steps(50, Betas(), spacing="linspace")
    assert (steps[0].t, steps[-1].t, len(steps)) == (999.0, 0.0, 50)


@given(n=st.integers(1, 60), spacing=st.sampled_from(["leading", "trailing", "linspace"]))
@settings(deadline=None)
def test_vp_steps_are_a_chain_on_the_unit_circle(n: int, spacing: str) -> None:
    steps = vp_steps(n, spacing=spacing)
    for step in steps:
        assert math.hypot(step.alpha, step.sigma) == pytest.approx(1)
        assert step.sigma > step.sigma_next
    for before, after in pairwise(steps):
        assert (before.alpha_next, before.sigma_next) == (after.alpha, after.sigma)
    assert (steps[-1].alpha_next, steps[-1].sigma_next) == (1.0, 0.0)


def test_last_step_may_end_at_timestep_zero() -> None:
    last = vp_steps(10, offset=1, final_alpha="first")[-1]
    assert last.sigma_next == pytest.approx(math.sqrt(0.00085))


@given(n=st.integers(2, 30), low=st.floats(1e-3, 0.1), high=st.floats(1, 800), rho=st.floats(1, 10))
@settings(deadline=None)
def test_karras_steps_go_from_max_to_zero(n: int, low: float, high: float, rho: float) -> None:
    steps = karras_steps(n, low, high, rho)
    assert steps[0].sigma == pytest.approx(high)
    assert steps[-1].sigma == pytest.approx(low)
    assert steps[-1].sigma_next == 0.0
    assert all(s.alpha == s.alpha_next == 1.0 and s.sigma > s.sigma_next for s in steps)
    assert steps[0].t == pytest.approx(0.25 * math.log(high))


def test_karras_levels_must_make_sense() -> None:
    with pytest.raises(ValueError, match="sigma_min"):
        karras_steps(3, 1.0, 0.5)


@pytest.mark.parametrize(("strength", "count"), [(1.0, 10), (0.3, 3), (0.31, 4), (0.01, 1), (0.7, 7)])
def test_vp_strength_is_a_number_of_steps(strength: float, count: int) -> None:
    assert len(truncate(vp_steps(10), strength)) == count


def test_full_strength_changes_nothing() -> None:
    for steps in (vp_steps(7), karras_steps(5, 0.1, 3.0), karras_steps(1, 0.1, 3.0)):
        assert truncate(steps, 1.0) == steps


def test_strength_shortens_a_single_edm_step() -> None:
    (step,) = truncate(karras_steps(1, 0.1, 10.0), 0.5)
    assert step.sigma == pytest.approx(10.0 * 0.5**7)
    assert step.t == pytest.approx(0.25 * math.log(step.sigma))


def test_edm_strength_rises_with_noise() -> None:
    steps = karras_steps(4, 0.02, 10.0)
    starts = [truncate(steps, s / 20)[0].sigma for s in range(1, 21)]
    assert starts == sorted(starts)
    assert len(set(starts)) == 20


@pytest.mark.parametrize("strength", [0.0, -0.1, 1.01, math.nan])
def test_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength"):
        truncate(vp_steps(10), strength)
