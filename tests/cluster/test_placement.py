"""Who gets what: every segment once, lines in order, nothing lost with a worker."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpid.cluster.placement import MOST_SEGMENTS, Board, Line, lines_of, side_by_side
from limpid.cuts.blended import Blended
from limpid.cuts.local import Local
from limpid.plan.segments import Cutting, Plan, Rung, plan_segments
from limpid.types import Window


def plan_of(shots: list[tuple[int, int]], length: int = 10) -> Plan:
    frames = Window(start=0, stop=shots[-1][1])
    return Plan(
        segments=plan_segments(shots, frames, Cutting(frames=length, longest_frames=length, halo_frames=2)),
        frames=frames,
        local=True,
        halo_frames=2,
        grid_frames=1,
        rung=Rung(chunk_frames=8),
        threads=1,
        peak_bytes=1,
    )


SHOTS = [(0, 40), (40, 45), (45, 145)]


def lines(*, carries: bool = False) -> tuple[Line, ...]:
    return lines_of(plan_of(SHOTS), Blended() if carries else Local(reach_frames=2), carries=carries)


def test_lines_are_stretches_or_shots() -> None:
    assert [(len(line.segments), line.in_order) for line in lines()] == [(4, False), (1, False), (10, False)]
    assert [(len(line.segments), line.in_order) for line in lines(carries=True)] == [(4, True), (1, True), (10, True)]


def test_the_plan_says_how_much_can_run_at_once_and_why() -> None:
    most, why = side_by_side(lines(), 8)
    assert most == 8
    assert "15 segments do not depend" in why
    most, why = side_by_side(lines(carries=True), 8)
    assert most == 3
    assert "each hands frames on" in why
    assert "3 shots" in why
    assert "67%" in why
    assert side_by_side(lines(carries=True)[:1], 8)[1].endswith("1 shot")


def test_units_are_large_at_first_and_small_at_the_end() -> None:
    board = Board(lines_of(plan_of([(0, 1000)]), Local(reach_frames=2), carries=False, free_cuts=True))
    sizes = []
    while (unit := board.take("a", 2)) is not None:
        sizes.append(len(unit.segments))
    assert sum(sizes) == 100
    assert sizes[0] == MOST_SEGMENTS
    assert sizes[-3:] == [1, 1, 1]
    assert sizes == sorted(sizes, reverse=True)


def test_workers_that_are_equally_fast_get_the_same_and_end_together() -> None:
    """Half of what is left in a unit for each, then half of the rest, down to units that are worth their halo."""
    board = Board(lines_of(plan_of([(0, 300)]), Local(reach_frames=2), carries=False, free_cuts=True), least_frames=25)
    sizes = []
    while (unit := board.take("ab"[len(sizes) % 2], 2)) is not None:
        sizes.append(len(unit.segments))
    assert sizes == [8, 8, 4, 4, 3, 3]


def test_a_single_worker_has_nobody_to_balance_with() -> None:
    lines = lines_of(plan_of([(0, 300)]), Local(reach_frames=2), carries=False, free_cuts=True)
    board, sizes = Board(lines, most_segments=12), []
    while (unit := board.take("a", 1)) is not None:
        sizes.append(len(unit.segments))
    assert sizes == [12, 12, 6]


def test_the_next_unit_is_sent_when_half_of_one_is_made() -> None:
    board = Board(lines_of(plan_of([(0, 300)]), Local(reach_frames=2), carries=False, free_cuts=True))
    assert board.wants("a", 2, half_made=False), "without a unit there is no half"
    assert board.take("a", 2) is not None
    assert not board.wants("a", 2, half_made=False)
    assert board.wants("a", 2, half_made=True)


def test_units_meet_where_chunks_do_if_there_is_such_a_place_near_by() -> None:
    """Chunks begin at 0, 10, 18, 26 and so on, segments at 0, 6, 12: together at 18, 42, 66, every fourth segment."""
    plan, cuts = plan_of([(0, 300)], length=6), Local(reach_frames=2)
    (line,) = lines_of(plan, cuts, carries=False)
    assert sorted(line.joints)[:4] == [0, 3, 7, 11]
    board, begun = Board([line], most_segments=5), []
    while (unit := board.take("a", 2)) is not None:
        begun.append(unit.segments[0].index)
    assert begun[:5] == [0, 3, 7, 11, 15]
    assert set(begun[:-4]) <= line.joints
    (free,) = lines_of(plan, cuts, carries=False, free_cuts=True)
    assert free.joints == {segment.index for segment in plan.segments}


def test_a_line_belongs_to_one_worker_and_the_longest_begins() -> None:
    board = Board(lines(carries=True))
    first = board.take("a", 2)
    assert first is not None
    assert first.segments[0].core.start == 45
    second = board.take("b", 2)
    assert second is not None
    assert second.segments[0].core.start == 0
    for segment in first.segments:
        board.done(segment.index)
    board.ended("a")
    rest = board.take("a", 2)
    assert rest is not None
    assert rest.segments[0].index == first.segments[-1].index + 1


def test_the_next_shot_is_sent_while_the_last_segments_of_one_are_made() -> None:
    board = Board(lines(carries=True), most_segments=6)
    assert board.wants("a", 1)
    longest = board.take("a", 1)
    assert longest is not None
    assert not board.wants("a", 1), "four segments of this shot are left, which come first"
    for segment in longest.segments:
        board.done(segment.index)
    board.ended("a")
    assert board.take("a", 1) is not None
    assert board.wants("a", 2)
    assert not board.wants("a", 3), "too few shots for others"
    assert board.take("a", 2) is not None
    assert not board.wants("a", 1), "two units are enough"


def test_what_a_lost_worker_was_at_is_taken_by_others_from_the_first_unfinished_segment() -> None:
    board = Board(lines(carries=True))
    first = board.take("a", 2)
    assert first is not None
    board.done(first.segments[0].index)
    board.lost("a")
    again = board.take("b", 2)
    assert again is not None
    assert again.segments[0] == first.segments[1]


def test_failures_are_counted_by_segment() -> None:
    board = Board(lines())
    assert [board.failed(3), board.failed(4), board.failed(3)] == [1, 1, 2]


def test_a_shot_is_made_by_one_kind_of_machine() -> None:
    board = Board(lines(), most_segments=2)
    taken = [board.take("a", 1, "gpu"), board.take("b", 1, "cpu"), board.take("c", 1, "gpu")]
    shots = [unit.segments[0].shot for unit in taken if unit]
    assert shots == [0, 1, 0]
    assert board.shot_kinds() == {0: "gpu", 1: "cpu"}


@given(seed=st.integers(0, 10_000), carries=st.booleans(), workers=st.integers(1, 5))
def test_every_segment_is_made_once_whatever_happens(seed: int, carries: bool, workers: int) -> None:
    """Workers finish, stop half way and die at random; carried lines stay in order."""
    chance = random.Random(seed)
    board = Board(lines(carries=carries), most_segments=3)
    done: list[int] = []
    for _ in range(1000):
        if board.is_done:
            break
        worker = f"w{chance.randrange(workers)}"
        if not board.units(worker):
            board.take(worker, workers)
            continue
        unit = board.units(worker)[0]
        if chance.random() < 0.15:
            board.lost(worker)
        elif unit.segments:
            done.append(unit.segments[0].index)
            board.done(unit.segments[0].index)
        else:
            board.ended(worker)
    assert board.is_done
    assert sorted(done) == list(range(15))
    if carries:
        assert all(done.index(a) < done.index(a + 1) for a in range(14) if a not in (3, 4))


@pytest.mark.parametrize("finished", [set(), {0, 1, 7}, set(range(15))])
def test_what_a_former_run_finished_is_not_made_again(finished: set[int]) -> None:
    board = Board(lines(), finished=set(finished))
    made = []
    while (unit := board.take("a", 1)) is not None:
        made += [segment.index for segment in unit.segments]
    assert sorted(made) == sorted(set(range(15)) - finished)
