"""Unlike machines: every shot is of one kind, whoever comes and goes, and the journal says which."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import crews
import heads
import pytest
from heads import FRAMES, alone, hashes, run_head

from limpid.cluster.orders import WorkerCard
from limpid.cuts.base import Cuts
from limpid.cuts.blended import Blended
from limpid.cuts.local import Local
from limpid.restoration.chunk import Chunk
from limpid.run.journal import Journal
from limpid.run.kinds import kinds_made, refuse_mixture
from limpid.types import ResourceError

B = 0.5
"""What machines of kind B add to each frame."""
CUTS = [(Local(reach_frames=2), False), (Blended(), False), (Blended(), True)]
IDS = ["local", "blended", "carrying"]
each_cutting = pytest.mark.parametrize(("cuts", "carries"), CUTS, ids=IDS)


def crew_of(folder: Path, kinds: str, cuts: Cuts, *, carries: bool, **about: Any) -> crews.ThreadCrew:
    """Workers of these kinds, a letter each; those that come later are of the last one."""

    def kind(name: str) -> str:
        number = int(name.split()[1])
        return kinds[min(number, len(kinds)) - 1]

    def card(name: str, known: WorkerCard) -> WorkerCard:
        return known if kind(name) == "A" else replace(known, machine={**known.machine, "model": f"card {kind(name)}"})

    return crews.ThreadCrew(
        folder,
        cuts,
        count=len(kinds),
        carries=carries,
        change_card=card,
        tint=lambda name: 0.0 if kind(name) == "A" else B,
        **about,
    )


def both_at_work() -> Callable[[str, Chunk], None]:
    """Each of two workers waits with its first chunk until the other one has one, too."""
    barrier, met = threading.Barrier(2), set[str]()

    def wait(name: str, chunk: Chunk) -> None:
        if name in ("worker 1", "worker 2") and name not in met:
            met.add(name)
            barrier.wait(20)

    return wait


def ticking() -> Callable[[], float]:
    """A clock on which every look takes a while."""
    ticks: Iterator[int] = count(0, 30)
    return lambda: float(next(ticks))


def kinds_of(journal: Journal) -> dict[int, str]:
    """Shot -> A or B, by the journal."""
    known = {None: "A", **{kind: facts["machine"]["model"][-1] for kind, facts in journal.kinds.items()}}
    return {shot: known[kind] for shot, kind in sorted(journal.kind_of_shots().items())}


def check_bytes(journal: Journal, folder: Path, cuts: Cuts, *, carries: bool) -> None:
    """Every segment is what the kind of its shot makes, as the journal on disk says it."""
    again = Journal.read(journal.folder)
    assert again is not None
    kinds = kinds_of(again)
    made = {"A": alone(folder / "A", cuts, carries=carries), "B": alone(folder / "B", cuts, carries=carries, tint=B)}
    expected = {name: made[kinds[again.plan.segments[int(name[:6])].shot]][name] for name in made["A"]}
    assert hashes(journal) == expected
    assert made["A"] != made["B"]


@each_cutting
def test_every_shot_is_made_by_one_kind(tmp_path: Path, cuts: Cuts, carries: bool) -> None:
    crew = crew_of(tmp_path / "w", "AB", cuts, carries=carries, before=both_at_work())
    journal = run_head(tmp_path / "many", crew, clock=lambda: 0.0)
    assert set(kinds_of(journal).values()) == {"A", "B"}
    check_bytes(journal, tmp_path, cuts, carries=carries)
    rows = kinds_made(journal)
    assert sorted(shot for row in rows for shot in row["shots"]) == [0, 1, 2]
    assert sum(row["frames"] for row in rows) == FRAMES
    assert {row["machine"]["model"] for row in rows} == {"a processor", "card B"}


def test_like_machines_leave_a_journal_as_without_the_option(tmp_path: Path) -> None:
    cuts = Local(reach_frames=2)
    mixed = run_head(tmp_path / "a", crew_of(tmp_path / "w", "AA", cuts, carries=False), clock=lambda: 0.0)
    plain = run_head(tmp_path / "b", crew_of(tmp_path / "v", "AA", cuts, carries=False))
    lines = [sorted(line.rpartition(',"check"')[0] for line in _lines(journal)) for journal in (mixed, plain)]
    assert lines[0] == lines[1]


def _lines(journal: Journal) -> list[str]:
    return (journal.folder / "journal.jsonl").read_text().splitlines()


class Dying:
    """The only worker of kind A dies when a segment of the shot that it is at is durable.

    ``left``: how many workers there should be from then on.
    """

    def __init__(self, folder: Path, cuts: Cuts, *, carries: bool, left: int = 1) -> None:
        self.left = left
        self.meet, self.events, self.durable = both_at_work(), list[dict[str, Any]](), dict[int, threading.Event]()
        self.crew = crew_of(folder, "AB", cuts, carries=carries, before=self.before)

    def on_event(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        if event["event"] == "segment":
            self.of_shot(event["start"]).set()

    def of_shot(self, frame: int) -> threading.Event:
        shot = next(number for number, (_, stop) in enumerate(heads.SHOTS) if frame < stop)
        return self.durable.setdefault(shot, threading.Event())

    def before(self, name: str, chunk: Chunk) -> None:
        self.meet(name, chunk)
        core = chunk.segment.core
        if name == "worker 1" and core.start - chunk.segment.shot_start >= 14:
            assert self.of_shot(core.start).wait(20)
            self.crew.count = self.left
            self.crew.kill(name)
            raise RuntimeError("nobody hears this")


@each_cutting
def test_a_kind_that_leaves_in_the_middle_of_a_shot_costs_that_shot_and_it_is_said(
    tmp_path: Path, cuts: Cuts, carries: bool
) -> None:
    dying = Dying(tmp_path / "w", cuts, carries=carries)
    journal = run_head(tmp_path / "many", dying.crew, clock=ticking(), on_event=dying.on_event)
    check_bytes(journal, tmp_path, cuts, carries=carries)
    (sentence,) = [e["message"] for e in dying.events if "made again by another kind" in e.get("message", "")]
    assert "none like the one that made them, a processor (float32), has been there for 60 s" in sentence
    told = [event["index"] for event in dying.events if event["event"] == "segment"]
    assert set(told) == set(range(len(journal.plan.segments)))
    assert len(told) > len(set(told)), "finished segments were made again"
    done = [event["done"] for event in dying.events if event["event"] == "progress"]
    assert done == sorted(done)
    assert done[-1] == FRAMES


def test_a_shot_waits_for_its_kind_while_that_is_not_away_for_long(tmp_path: Path) -> None:
    """A worker that died is hired again, as worker 3; the clock stands still, so nobody else may have its shot."""
    cuts = Local(reach_frames=2)
    dying = Dying(tmp_path / "w", cuts, carries=False, left=2)
    kind = dying.crew.change_card
    dying.crew.change_card = lambda name, card: card if name == "worker 3" else kind(name, card)
    dying.crew.tint = lambda name: B if name == "worker 2" else 0.0
    journal = run_head(tmp_path / "many", dying.crew, clock=lambda: 0.0, on_event=dying.on_event)
    check_bytes(journal, tmp_path, cuts, carries=False)
    told = [event["index"] for event in dying.events if event["event"] == "segment"]
    assert sorted(told) == list(range(len(journal.plan.segments)))


@each_cutting
def test_a_run_that_goes_on_keeps_finished_shots_with_their_kinds(tmp_path: Path, cuts: Cuts, carries: bool) -> None:
    """The second run has kind B only: what A has finished stays, what it had begun is made again."""
    begun: set[int] = set()

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "segment":
            begun.add(event["start"] < 45)
            if len(begun) == 2:
                raise KeyboardInterrupt

    crew = crew_of(tmp_path / "w", "AB", cuts, carries=carries, before=both_at_work())
    with pytest.raises(KeyboardInterrupt):
        run_head(tmp_path / "many", crew, clock=lambda: 0.0, on_event=stop)
    left = Journal.read(tmp_path / "many")
    assert left is not None
    before = kinds_of(left)
    assert set(before.values()) == {"A", "B"}
    with pytest.raises(ResourceError, match=r"unlike machines .*card B \(float32\).*--mixed, or delete"):
        refuse_mixture(left, mixed=False)
    events: list[dict[str, Any]] = []
    journal = run_head(
        tmp_path / "many", crew_of(tmp_path / "v", "B", cuts, carries=carries), clock=ticking(), events=events
    )
    check_bytes(journal, tmp_path, cuts, carries=carries)
    whole = {s for s in before if all(seg.index in left.finished for seg in left.plan.segments if seg.shot == s)}
    assert {shot: kinds_of(journal)[shot] for shot in whole} == {shot: before[shot] for shot in whole}


def test_a_journal_with_two_kinds_in_a_shot_does_not_hold(tmp_path: Path) -> None:
    journal = run_head(tmp_path / "many", crew_of(tmp_path / "w", "A", Blended(), carries=False), clock=lambda: 0.0)
    journal.add_kind("f" * 64, {"machine": {"model": "card B"}, "versions": {}})
    journal.add_finished(replace(journal.finished[0], kind="f" * 64))
    journal.close()
    with pytest.raises(ValueError, match="shot 0 is of two kinds"):
        Journal.read(journal.folder)
