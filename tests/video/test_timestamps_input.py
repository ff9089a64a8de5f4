"""Repair of presentation times: pure functions on numbers."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.video.timestamps import Repaired, last_duration, missing_frames, repair

STEP = Fraction(10)


def _fixed(raw: list[int | None]) -> list[int]:
    return repair(raw, [None] * len(raw), STEP).pts


def test_good_times_stay() -> None:
    raw = [-5, 0, 7, 100, 101]
    assert repair(raw, raw, STEP) == Repaired(raw, False, 0)


def test_no_times_come_from_the_rate_and_do_not_drift() -> None:
    step = Fraction(1000 * 1001, 24000)
    repaired = repair([None] * 2401, [None] * 2401, step)
    assert repaired.synthesised
    assert repaired.pts[2400] == round(2400 * step) == 100100


def test_decode_times_serve_when_there_is_nothing_else() -> None:
    assert repair([None, None, None], [4, 8, 20], STEP).pts == [4, 8, 20]
    assert repair([None, None, None], [4, 4, 20], STEP).pts == [0, 10, 20]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([0, 10, 10, 30], [0, 10, 20, 30]),  # doubled
        ([0, 10, None, 30], [0, 10, 20, 30]),  # missing
        ([None, None, 20, 30], [0, 10, 20, 30]),  # missing at the start
        ([0, 10, None, None], [0, 10, 20, 30]),  # missing at the end
        ([0, 10, 5000, 30, 40], [0, 10, 20, 30, 40]),  # one wrong time far ahead
        ([0, 10, -50, 30], [0, 10, 20, 30]),  # one wrong time far behind
        ([100, 110, 120, 0, 10, 20], [100, 110, 120, 130, 140, 150]),  # the clock starts again
        ([0, 20, 10, 30, 50, 40, 60], [0, 10, 20, 30, 40, 50, 60]),  # times of decoding
        ([0, 0, 0, 0], [0, 10, 20, 30]),
    ],
)
def test_repairs(raw: list[int | None], expected: list[int]) -> None:
    assert _fixed(raw) == expected


def test_each_restart_of_the_clock_is_reported_with_its_offset() -> None:
    first, second = [100, 110, 120, 130], [0, 10, 20, 30]
    repaired = repair(first + second + second, [None] * 12, STEP)
    assert repaired.pts == [100 + 10 * i for i in range(12)]
    assert repaired.restarts == (140, 180)


def test_a_short_recording_before_a_long_one_is_not_squeezed() -> None:
    raw = [*range(0, 100, 10), *range(0, 1000, 10)]
    assert _fixed(raw) == [10 * i for i in range(110)]


def test_a_far_jump_is_a_restart_only_where_the_clock_runs_on() -> None:
    raw = [0, 10, 20, 5000, 5010, 5020]
    assert _fixed(raw) == raw
    repaired = repair(raw, [None] * 6, STEP, longest_gap=1000)
    assert repaired.pts == [0, 10, 20, 30, 40, 50]
    assert repaired.restarts == (-4970,)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-1000, 1000)), min_size=1, max_size=80), st.integers(1, 50))
def test_always_one_strictly_increasing_time_per_frame(raw: list[int | None], step: int) -> None:
    pts = repair(raw, [None] * len(raw), Fraction(step)).pts
    assert len(pts) == len(raw)
    assert all(a < b for a, b in pairwise(pts))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=80, unique=True).map(sorted))
def test_strictly_increasing_times_are_never_touched(raw: list[int]) -> None:
    assert repair(raw, [None] * len(raw), STEP) == Repaired(raw, False, 0)


def test_gaps_count_only_in_a_constant_rate() -> None:
    regular = [10 * i for i in range(50)]
    assert missing_frames(regular, STEP) == (0, 0)
    assert missing_frames(regular[:20] + regular[23:], STEP) == (1, 3)
    assert missing_frames([i * i for i in range(50)], STEP) == (0, 0)


def test_last_duration() -> None:
    assert last_duration([0, 10, 20], 7, STEP) == 7
    assert last_duration([0, 12, 24], None, STEP) == 12
    assert last_duration([0], 0, STEP) == 10
