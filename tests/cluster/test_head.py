"""The head with workers in threads: the same bytes as without, whoever fails or dies, and each segment once."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import crews
import heads
import pytest
import torch
from heads import FRAMES, alone, hashes, read, run_head

from limpid.cluster.head import RunHead
from limpid.cluster.orders import Update, WorkerCard
from limpid.cluster.placement import Unit
from limpid.cluster.roster import CrewMember, Roster
from limpid.cuts.base import Cuts
from limpid.cuts.blended import Blended
from limpid.cuts.local import Local
from limpid.restoration.chunk import Chunk
from limpid.run.journal import Journal
from limpid.settings import Settings
from limpid.types import LimpidError, ResourceError, VideoFrame, Window

CUTS = [(Local(reach_frames=2), False), (Blended(), False), (Blended(), True)]


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize(("cuts", "carries"), CUTS, ids=["local", "blended", "carrying"])
def test_the_same_bytes_for_any_number_of_workers(tmp_path: Path, cuts: Cuts, carries: bool, workers: int) -> None:
    crew = crews.ThreadCrew(tmp_path / "w", cuts, count=workers, carries=carries)
    journal = run_head(tmp_path / "many", crew, free=workers == 2)
    assert hashes(journal) == alone(tmp_path / "alone", cuts, carries=carries)
    assert not [path for path in journal.folder.iterdir() if path.name.startswith("partial")]
    again = Journal.read(journal.folder)
    assert again is not None
    assert again.drop_damaged() == []


def test_chunks_lie_where_they_lie_without_workers(tmp_path: Path) -> None:
    seen: set[tuple[int, int]] = set()

    def note(name: str, chunk: Chunk) -> None:
        seen.add((chunk.segment.core.start, chunk.segment.core.stop))

    cuts = Local(reach_frames=2)
    run_head(tmp_path / "many", crews.ThreadCrew(tmp_path / "w", cuts, count=3, before=note))
    several = set(seen)
    seen.clear()
    run_head(tmp_path / "one", crews.ThreadCrew(tmp_path / "v", cuts, count=1, before=note))
    assert several == seen


@pytest.mark.parametrize("free", [True, False], ids=["chunks anywhere", "chunks in their places"])
def test_nothing_is_computed_twice(tmp_path: Path, free: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where chunks have their places, units meet at those where segments begin: here each second one."""
    made: list[int] = []
    monkeypatch.setattr(heads, "SHOTS", [(0, FRAMES)])

    def note(name: str, chunk: Chunk) -> None:
        made.extend(range(chunk.segment.core.start, chunk.segment.core.stop))

    cuts = Local(reach_frames=2)
    crew = crews.ThreadCrew(tmp_path / "w", cuts, count=2, before=note)
    journal = run_head(tmp_path / "many", crew, free=free, length=5 if free else 6, chunk=8 if free else 4)
    assert len(journal.plan.segments) > 12
    assert sorted(made) == list(range(FRAMES))


def test_a_worker_has_half_made_its_unit_when_it_says_so(tmp_path: Path) -> None:
    segments = heads.make_journal(tmp_path).plan.segments[:2]
    head = RunHead.__new__(RunHead)
    head._units = {"a": [(7, Unit(line=0, segments=segments))]}
    member = CrewMember(name="a", call=None, since=0.0)  # type: ignore[arg-type]
    said = {(7, 6): False, (7, 7): True, (6, 14): False, (None, 0): False}
    for (unit, frames), half in said.items():
        member.said = Update(unit=unit, frames=frames)
        assert head._is_half_made(member) == half
    assert not head._is_half_made(replace(member, name="b"))


@pytest.mark.parametrize(("cuts", "carries"), CUTS, ids=["local", "blended", "carrying"])
def test_workers_that_die_cost_nothing_but_time(tmp_path: Path, cuts: Cuts, carries: bool) -> None:
    deaths, lock = {11, 33, 55, 80}, threading.Lock()

    def die(name: str, chunk: Chunk) -> None:
        """The first chunk that holds one of these frames: four segments, each of which fails once."""
        core = chunk.segment.core
        with lock:
            dies = {frame for frame in deaths if core.start <= frame < core.stop}
            deaths.difference_update(dies)
        if dies:
            crew.kill(name)
            raise RuntimeError("nobody hears this")

    crew = crews.ThreadCrew(tmp_path / "w", cuts, count=2, carries=carries, before=die)
    events: list[dict[str, Any]] = []
    journal = run_head(tmp_path / "many", crew, events=events)
    assert hashes(journal) == alone(tmp_path / "alone", cuts, carries=carries)
    assert crew.hired == 6
    rows = [event["workers"] for event in events if event["event"] == "workers"][-1]
    assert sum(row["frames"] for row in rows) == FRAMES
    assert sorted(row["there"] for row in rows) == [False] * (len(rows) - 2) + [True] * 2
    told = [event["index"] for event in events if event["event"] == "segment"]
    assert sorted(told) == list(range(len(journal.plan.segments)))
    assert sum("is gone" in event.get("message", "") for event in events) >= 1


def test_an_error_is_tried_on_other_workers_and_the_third_one_stops_the_run(tmp_path: Path) -> None:
    def fail(name: str, chunk: Chunk) -> None:
        if chunk.segment.core.start >= 60:
            raise ValueError("the network failed")

    crew = crews.ThreadCrew(tmp_path / "w", Blended(), before=fail)
    with pytest.raises(RuntimeError, match="ValueError: the network failed"):
        run_head(tmp_path / "many", crew)
    left = Journal.load(tmp_path / "many")
    assert left is not None
    assert left.finished
    journal = run_head(tmp_path / "many", crews.ThreadCrew(tmp_path / "v", Blended()))
    assert hashes(journal) == alone(tmp_path / "alone", Blended(), carries=False)


def test_a_worker_that_always_dies_at_one_place_stops_the_run_with_a_sentence(tmp_path: Path) -> None:
    def die(name: str, chunk: Chunk) -> None:
        if chunk.segment.core.start == 54:
            crew.kill(name)
            raise RuntimeError("nobody hears this")

    crew = crews.ThreadCrew(tmp_path / "w", Blended(), before=die)
    with pytest.raises(ResourceError, match="3 workers died while they made segment"):
        run_head(tmp_path / "many", crew)


@pytest.mark.parametrize(("cuts", "carries"), CUTS, ids=["local", "blended", "carrying"])
def test_out_of_memory_is_journaled_and_stays_with_the_worker(tmp_path: Path, cuts: Cuts, carries: bool) -> None:
    """The first worker has less memory; it must not try a smaller rung before the journal has it."""

    def limited(name: str, chunk: Chunk) -> None:
        written = Journal.load(tmp_path / "many")
        assert written is not None
        if chunk.rung != written.plan.rung:
            assert chunk.rung in [rung for _, rung in written.lowered]
        if name == "worker 1" and (chunk.rung.tile_px is None or chunk.rung.tile_px > 128):
            raise torch.OutOfMemoryError("no")

    events: list[dict[str, Any]] = []
    crew = crews.ThreadCrew(tmp_path / "w", cuts, count=2, carries=carries, before=limited)
    journal = run_head(tmp_path / "many", crew, events=events)
    assert hashes(journal) == alone(tmp_path / "alone", cuts, carries=carries)
    assert journal.lowered
    assert any("out of memory" in event.get("message", "") for event in events)


def test_another_kind_of_machine_is_refused_with_the_difference(tmp_path: Path) -> None:
    def change(name: str, card: WorkerCard) -> WorkerCard:
        if name != "worker 2":
            return card
        return replace(card, versions={"limpid": "2"}, machine={**card.machine, "model": "a faster one"})

    events: list[dict[str, Any]] = []
    crew = crews.ThreadCrew(tmp_path / "w", Blended(), change_card=change)
    facts = {"machine": crews.MACHINE.to_dict(), "versions": {"limpid": "1"}, "weights": "w"}
    journal = run_head(tmp_path / "many", crew, facts=facts, events=events)
    (sentence,) = [event["message"] for event in events if event["event"] == "warning"]
    assert "model (a faster one, not a processor)" in sentence
    assert "limpid (2, not 1)" in sentence
    assert len(journal.finished) == len(journal.plan.segments)


def test_where_all_are_refused_the_run_stops_with_the_sentence(tmp_path: Path) -> None:
    crew = crews.ThreadCrew(tmp_path / "w", Blended(), count=1)
    facts = {"machine": crews.MACHINE.to_dict(), "versions": {"limpid": "1"}, "weights": "others"}
    with pytest.raises(LimpidError, match=r"weights \(w, not others\)"):
        run_head(tmp_path / "many", crew, facts=facts)


def test_what_decoding_runs_into_surfaces(tmp_path: Path) -> None:
    def broken(window: Window) -> list[VideoFrame]:
        if window.stop > 40:
            raise ValueError("the decoder failed")
        return read(window)

    with pytest.raises(ValueError, match="the decoder failed"):
        run_head(tmp_path / "many", crews.ThreadCrew(tmp_path / "w", Blended()), read=broken)


def test_a_run_that_all_workers_have_left_stops_after_a_while(tmp_path: Path) -> None:
    now = iter(range(0, 10_000, 100))
    crew = crews.ThreadCrew(tmp_path / "w", Blended(), count=0)
    roster = Roster(crew=crew, settings=Settings(), threads=1, clock=lambda: next(now))
    for _ in range(4):
        roster.check_deserted()
    with pytest.raises(ResourceError, match=r"no worker has been there for 300 s.*the same command goes on"):
        roster.check_deserted()
