"""The plan covers every frame once, keeps to shots, halos and the grid, and fits into memory."""

from __future__ import annotations

import dataclasses
import itertools
import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpid.cuts.base import Cuts
from limpid.cuts.blended import Blended
from limpid.cuts.cost import Held
from limpid.cuts.local import Local
from limpid.cuts.local_memory import CHUNK_CHOICES, Load, fit
from limpid.plan.memory import Budget
from limpid.plan.segments import Cutting, Plan, Rung, choose_cutting, next_core, plan_segments, tile_choices
from limpid.run.estimate import chunks
from limpid.types import ResourceError, Window

GIB = 1 << 30
KINDS: dict[bool, Cuts] = {True: Local(), False: Blended()}
"""Local or not."""


@st.composite
def cuttings(draw: st.DrawFn) -> Cutting:
    grid = draw(st.integers(1, 6))
    frames = grid * draw(st.integers(1, 12))
    longest = draw(st.sampled_from([frames, 2 * frames - 1]))
    return Cutting(frames=frames, longest_frames=longest, halo_frames=draw(st.integers(0, 20)), grid_frames=grid)


@st.composite
def shots_and_frames(draw: st.DrawFn) -> tuple[list[tuple[int, int]], Window]:
    lengths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=6))
    bounds = [0]
    for length in lengths:
        bounds.append(bounds[-1] + length)
    start = draw(st.integers(0, bounds[-1] - 1))
    frames = Window(start=start, stop=draw(st.integers(start + 1, bounds[-1])))
    return list(itertools.pairwise(bounds)), frames


@given(shots_and_frames(), cuttings())
def test_cores_cover_every_frame_once_and_halos_stay_in_the_shot(
    clip: tuple[list[tuple[int, int]], Window], cutting: Cutting
) -> None:
    shots, frames = clip
    segments = plan_segments(shots, frames, cutting)
    covered = [frame for s in segments for frame in range(s.core.start, s.core.stop)]
    assert covered == list(range(frames.start, frames.stop))
    for number, segment in enumerate(segments):
        bounds = shots[segment.shot]
        assert segment.index == number
        assert (segment.shot_start, segment.shot_stop) == bounds
        assert len(segment.core) <= cutting.longest_frames
        assert segment.halo.start <= max(segment.core.start - cutting.halo_frames, bounds[0])
        assert segment.halo.stop >= min(segment.core.stop + cutting.halo_frames, bounds[1])


@given(shots_and_frames(), cuttings())
def test_segments_start_on_the_grid_of_their_shot(clip: tuple[list[tuple[int, int]], Window], cutting: Cutting) -> None:
    shots, _frames = clip
    whole = Window(start=0, stop=shots[-1][1])
    for segment in plan_segments(shots, whole, cutting):
        assert (segment.core.start - segment.shot_start) % cutting.grid_frames == 0
        assert (segment.halo.start - segment.shot_start) % cutting.grid_frames == 0


@given(shots_and_frames(), cuttings(), st.integers(1, 70), st.booleans())
def test_chunks_cover_all_segments_and_have_the_whole_halo(
    clip: tuple[list[tuple[int, int]], Window], cutting: Cutting, length: int, local: bool
) -> None:
    cutting = dataclasses.replace(cutting, grid_frames=1)
    segments = plan_segments(clip[0], clip[1], cutting)
    plan = dataclasses.replace(
        make_plan(segments, clip[1], Rung(chunk_frames=length), cutting.halo_frames), local=local
    )
    cuts = KINDS[local]
    found = [chunk for stretch in cuts.stretches(segments) for chunk in chunks(cuts, stretch, plan)]
    assert [f for c in found for f in range(c.core.start, c.core.stop)] == list(range(clip[1].start, clip[1].stop))
    if not local:
        assert found == list(segments)
    for chunk in found:
        assert len(chunk.halo) <= length + 2 * cutting.halo_frames or not local
        assert chunk.halo.start == max(chunk.core.start - cutting.halo_frames, chunk.shot_start)
        assert chunk.halo.stop == min(chunk.core.stop + cutting.halo_frames, chunk.shot_stop)


def test_short_segments_do_not_make_short_chunks() -> None:
    cutting = Cutting(frames=4, longest_frames=4, halo_frames=2)
    frames = Window(start=0, stop=40)
    segments = plan_segments([(0, 30), (30, 40)], frames, cutting)
    plan = make_plan(segments, frames, Rung(chunk_frames=20), 2)
    cuts = Local()
    found = [len(chunk.core) for stretch in cuts.stretches(segments) for chunk in chunks(cuts, stretch, plan)]
    assert found == [22, 8, 10]


def make_plan(segments: tuple, frames: Window, rung: Rung, halo: int = 4) -> Plan:  # type: ignore[type-arg]
    return Plan(
        segments=segments,
        frames=frames,
        local=True,
        halo_frames=halo,
        grid_frames=1,
        rung=rung,
        threads=2,
        peak_bytes=1,
    )


@given(shots_and_frames(), cuttings())
def test_a_plan_goes_through_json_without_loss(clip: tuple[list[tuple[int, int]], Window], cutting: Cutting) -> None:
    plan = make_plan(plan_segments(*clip, cutting), clip[1], Rung(chunk_frames=3, tile_px=64))
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@given(st.integers(1, 400), cuttings())
def test_streaming_cuts_in_the_same_places_as_planning(length: int, cutting: Cutting) -> None:
    planned = [s.core for s in plan_segments([(0, length)], Window(start=0, stop=length), cutting)]
    streamed, position = [], 0
    for known in range(1, length + 1):
        while (core := next_core(position, known, cutting, ended=known == length)) is not None:
            streamed.append(core)
            position = core.stop
    assert streamed == planned


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30), Fraction(60), Fraction(120)])
@pytest.mark.parametrize("length", [1, 30, 47, 48, 95, 96, 500, 1001])
def test_default_segments_last_two_seconds_where_the_shot_does(fps: Fraction, length: int) -> None:
    cutting = choose_cutting(fps=fps, around=(4, 4), segment_frames=None)
    segments = plan_segments([(0, length)], Window(start=0, stop=length), cutting)
    assert all(len(s.core) >= min(2 * fps, length) for s in segments)


def test_asked_segment_length_is_kept_to() -> None:
    cutting = choose_cutting(fps=Fraction(25), around=(4, 4), segment_frames=8)
    segments = plan_segments([(0, 20)], Window(start=0, stop=20), cutting)
    assert [len(s.core) for s in segments] == [8, 8, 4]


def test_memory_limits_segments_of_methods_that_need_them_at_once() -> None:
    cutting = choose_cutting(fps=Fraction(25), around=(4, 4), grid_frames=4, segment_frames=None, affordable_frames=30)
    assert cutting.longest_frames <= 30
    assert cutting.frames % 4 == 0


LOAD = Load(
    width=320,
    height=180,
    halo_px=46,
    halo_frames=4,
    network_bytes_per_px=2048,
    finish_bytes_per_px=576,
    held=Held(lr_frame_bytes=172_800, finished_frame_bytes=2_764_800),
)


@given(st.integers(2, 4000), st.integers(2, 2000), st.integers(24, 36), st.integers(1, 200))
def test_what_is_chosen_fits_into_the_budget_when_anything_does(
    width: int, height: int, budget_power: int, most: int
) -> None:
    pixels = width * height
    held = Held(lr_frame_bytes=3 * pixels, finished_frame_bytes=48 * pixels)
    load = dataclasses.replace(LOAD, width=width, height=height, held=held)
    budget = 1 << budget_power
    smallest = min(load.peak_bytes(1, t) for t in (None, *tile_choices(max(width, height))))
    if smallest > budget:
        with pytest.raises(ResourceError, match=f"{width}x{height} needs .* in the smallest pieces"):
            fit(load, Budget(device=budget), most_frames=most)
        return
    rung = fit(load, Budget(device=budget), most_frames=most)
    assert 1 <= rung.chunk_frames <= min(most, CHUNK_CHOICES[0])
    assert load.peak_bytes(rung.chunk_frames, rung.tile_px) <= budget


def test_more_memory_never_wastes_more_work() -> None:
    wastes = []
    for budget in (GIB // 2, GIB, 2 * GIB, 4 * GIB, 64 * GIB):
        rung = fit(LOAD, Budget(device=budget), most_frames=60)
        wastes.append(LOAD.waste(rung.chunk_frames, rung.tile_px))
    assert wastes == sorted(wastes, reverse=True)


def test_what_is_free_is_taken_where_less_cannot_do() -> None:
    held = Held(lr_frame_bytes=3 << 20, finished_frame_bytes=48 << 20, codec_bytes=3 * GIB)
    load = dataclasses.replace(LOAD, held=held)
    assert fit(load, Budget(device=2 * GIB, free=4 * GIB), most_frames=60).chunk_frames == 1
    with pytest.raises(ResourceError, match=r"with tiles of 300 px needs 4\.\d GiB, and 4\.0 GiB may be used"):
        fit(load, Budget(device=2 * GIB, free=4 * GIB), most_frames=60, tile_px=300)


def test_asked_tile_size_is_kept() -> None:
    assert fit(LOAD, Budget(device=GIB), most_frames=60, tile_px=100).tile_px == 100


@given(
    st.integers(1, 64),
    st.one_of(st.none(), st.integers(64, 1024)),
    st.booleans(),
    st.integers(16, 4000),
    st.integers(16, 4000),
)
def test_every_rung_is_smaller_than_the_one_before(
    chunk: int, tile: int | None, local: bool, width: int, height: int
) -> None:
    rung = Rung(chunk_frames=chunk, tile_px=tile)
    rungs = [rung, *KINDS[local].ladder(rung, width, height)]
    edge = max(width, height)
    sizes = [(r.chunk_frames * min(r.tile_px or edge, edge), r.chunk_frames, r.tile_px or edge) for r in rungs]
    assert all(b[1] <= a[1] and b[2] <= a[2] + 7 and b != a for a, b in itertools.pairwise(sizes))
    if local:
        assert rungs[-1].chunk_frames == 1
    else:
        assert all(r.chunk_frames == chunk for r in rungs)


def test_blended_methods_step_down_guidance_then_both_kinds_of_tiles() -> None:
    rung = Rung(chunk_frames=48, tile_px=None, decode_tile_px=320, batched_guidance=True)
    rungs = Blended(tile_overlap_px=64).ladder(rung, 320, 180)
    assert [(r.batched_guidance, r.decode_tile_px, r.tile_px) for r in rungs] == [
        (False, 320, None),
        (False, 160, None),
        (False, 160, 160),
        (False, 80, 160),
        (False, 40, 160),
    ]
