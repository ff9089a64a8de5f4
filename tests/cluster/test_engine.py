"""Whole runs with workers in threads: the file, its record, what is told, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import crews
import media
import pytest

from limpid import upscale
from limpid.cluster import engine
from limpid.cluster.orders import WorkerCard
from limpid.cuts.local import Local
from limpid.durable.files import sha256_of
from limpid.run.journal import Journal
from limpid.types import Interrupted, LimpidError, OutputError, ResourceError, SettingsError, WeightsError

CUT = {"segment_frames": 4, "threads": 1, "dtype": "float32"}
Start = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Runs `limpid.upscale` with two workers in threads and returns its events."""
    clip = media.make_video(tmp_path / "film.mp4", width=32, height=24, frames=20)

    def run(output: str = "a.mp4", **about: Any) -> list[dict[str, Any]]:
        crew_about = {name: about.pop(name) for name in ("change_card", "before", "count") if name in about}
        folder = tmp_path / f"workers of {output} {len(list(tmp_path.iterdir()))}"
        crew = crews.RealShops(folder, Local(reach_frames=0), **crew_about)
        monkeypatch.setattr(engine, "check_cluster", lambda cluster: None)
        monkeypatch.setattr(engine.Workers, "_hire", lambda self, settings, threads: (crew, 1))
        events: list[dict[str, Any]] = []
        upscale(clip, tmp_path / output, workers="2", **{"on_event": events.append, **CUT, **about})
        return events

    return run


def test_a_run_with_workers_says_what_each_did(start: Start, tmp_path: Path) -> None:
    events = start()
    (workers,) = [event["workers"] for event in events if event["event"] == "workers"][-1:]
    assert sum(row["frames"] for row in workers) == 20
    assert all(0 <= row["idle"] <= 1 for row in workers)
    (times,) = [event for event in events if event["event"] == "times"]
    assert times["network"] > 0
    assert times["commit"] > 0
    assert {"transfer", "idle"} <= times.keys()
    record = json.loads((tmp_path / "a.mp4.limpid.json").read_text())
    assert record["workers"] == workers
    assert record["timings"]["parts"]["commit"] == times["commit"]
    upscale(tmp_path / "film.mp4", tmp_path / "b.mp4", **CUT)
    assert sha256_of(tmp_path / "a.mp4") == sha256_of(tmp_path / "b.mp4")
    assert "workers" not in json.loads((tmp_path / "b.mp4.limpid.json").read_text())


Change = Callable[[str, WorkerCard], WorkerCard]


def changed(*names: str, machine: dict[str, Any] | None = None, versions: dict[str, str] | None = None) -> Change:
    """Workers of these names, or all, are other machines."""

    def change(name: str, card: WorkerCard) -> WorkerCard:
        if names and name not in names:
            return card
        return replace(
            card, machine={**card.machine, **(machine or {})}, versions={**card.versions, **(versions or {})}
        )

    return change


def warnings(events: list[dict[str, Any]]) -> list[str]:
    return [event["message"] for event in events if event["event"] == "warning"]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (changed("worker 2", versions={"torch": "1.0"}), "torch (1.0, not "),
        (changed("worker 2", versions={"limpid": "0.0.1"}), "limpid (0.0.1, not "),
        (changed("worker 2", machine={"dtype": "bfloat16"}), "dtype (bfloat16, not float32)"),
        (changed("worker 2", machine={"model": "card B"}), "model (card B, not "),
        (lambda name, card: replace(card, weights="f" * 64) if name == "worker 2" else card, "weights (ffff"),
    ],
    ids=["torch", "limpid", "dtype", "model", "weights"],
)
def test_a_worker_that_differs_is_refused_by_name_and_the_others_make_the_film(
    start: Start, change: Change, difference: str
) -> None:
    events = start(change_card=change, count=3)
    (sentence,) = warnings(events)
    assert difference in sentence
    assert events[-1]["event"] == "done"


@pytest.mark.parametrize("name", ["torch", "limpid", "av"])
def test_workers_that_are_all_of_other_versions_are_refused(start: Start, tmp_path: Path, name: str) -> None:
    """This machine reads and joins: the journal says its versions."""
    with pytest.raises(ResourceError, match=rf"{name} \(0.0.1, not .*make it like this machine"):
        start(change_card=changed(versions={name: "0.0.1"}))
    assert not (tmp_path / "a.mp4").exists()


def interrupted(start: Start, tmp_path: Path, **about: Any) -> Path:
    """A run of which one segment is finished; its folder."""

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "segment":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        start(on_event=stop, **about)
    (home,) = [path for path in tmp_path.iterdir() if path.name.startswith(".") and path.is_dir()]
    return home


@pytest.mark.parametrize("difference", [{"model": "card B"}, {"dtype": "bfloat16"}])
def test_machines_unlike_those_of_the_journal_are_refused_and_nothing_is_lost(
    start: Start, tmp_path: Path, difference: dict[str, Any]
) -> None:
    home = interrupted(start, tmp_path)
    kept = {path.name: sha256_of(path) for path in home.iterdir() if path.name.startswith(("0", "journal"))}
    assert len(kept) >= 2
    ((name, value),) = difference.items()
    with pytest.raises(ResourceError, match=rf"{name} \({value}, not .*segments that are finished, or delete"):
        start(change_card=changed(machine=difference))
    assert {path.name: sha256_of(path) for path in home.iterdir() if path.name in kept} == kept
    events = start(change_card=changed("worker 1", machine=difference))
    assert any(event["event"] == "resume" for event in events)
    assert events[-1]["event"] == "done"


def test_a_change_of_settings_begins_anew_on_any_machine(start: Start, tmp_path: Path) -> None:
    interrupted(start, tmp_path)
    events = start(change_card=changed(machine={"model": "card B"}), crf=30)
    assert any("settings.crf" in sentence for sentence in warnings(events))
    assert events[-1]["event"] == "done"


CARD_B = {"model": "card B"}


def test_unlike_machines_are_let_in_and_the_sidecar_says_which_made_which_shots(start: Start, tmp_path: Path) -> None:
    """Threads of one process are alike, whatever they say they are: the bytes are those of a run without workers."""
    change = changed("worker 2", machine=CARD_B, versions={"torch": "1.0+cpu", "numpy": "1.0"})
    events = start(change_card=change, mixed=True)
    assert warnings(events) == []
    record = json.loads((tmp_path / "a.mp4.limpid.json").read_text())
    assert record["settings"]["mixed"]
    assert sum(row["frames"] for row in record["kinds"]) == 20
    assert sorted(shot for row in record["kinds"] for shot in row["shots"]) == [0]
    upscale(tmp_path / "film.mp4", tmp_path / "b.mp4", **CUT)
    assert sha256_of(tmp_path / "a.mp4") == sha256_of(tmp_path / "b.mp4")
    assert "kinds" not in json.loads((tmp_path / "b.mp4.limpid.json").read_text())


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (changed("worker 2", versions={"limpid": "0.0.1"}), "limpid (0.0.1, not "),
        (changed("worker 2", versions={"av": "0.0.1"}), "av (0.0.1, not "),
        (lambda name, card: replace(card, weights="f" * 64) if name == "worker 2" else card, "weights (ffff"),
    ],
    ids=["limpid", "av", "weights"],
)
def test_other_versions_and_weights_are_refused_whatever_may_be_mixed(
    start: Start, change: Change, difference: str
) -> None:
    (sentence,) = warnings(start(change_card=change, mixed=True))
    assert difference in sentence
    assert "--mixed" not in sentence


@pytest.mark.parametrize("option", [{"mixed": True}, {"wait_s": 600}])
def test_options_on_workers_are_refused_without_any(tmp_path: Path, option: dict[str, Any]) -> None:
    clip = media.make_video(tmp_path / "film.mp4", width=32, height=24, frames=2)
    with pytest.raises(SettingsError, match="has no effect without workers; add --workers or --cluster"):
        upscale(clip, tmp_path / "a.mp4", **option)


def test_a_refusal_says_where_mixed_would_help(start: Start) -> None:
    (sentence,) = warnings(start(change_card=changed("worker 2", machine=CARD_B), count=3))
    assert sentence.endswith("or say --mixed, which gives it shots of its own")


def test_a_run_goes_on_with_mixed_and_not_without_it_afterwards(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of machines like this one, then of others only, which make its shot again."""
    monkeypatch.setattr("limpid.cluster.mixed.AWAY_S", -1.0)
    home = interrupted(start, tmp_path)
    first = Journal.read(home)
    assert first is not None
    change = changed(machine=CARD_B, versions={"torch": "1.0"})
    with pytest.raises(ResourceError, match="or say --mixed"):
        start(change_card=change)
    interrupted(start, tmp_path, change_card=change, mixed=True)
    again = Journal.read(home)
    assert again is not None
    assert again.key == first.key
    assert [facts["machine"]["model"] for facts in again.kinds.values()] == ["card B"]
    with pytest.raises(ResourceError, match=r"are of unlike machines \(card B.*--mixed, or delete"):
        start()
    events = start(change_card=change, mixed=True)
    assert any(event["event"] == "resume" for event in events)
    (row,) = json.loads((tmp_path / "a.mp4.limpid.json").read_text())["kinds"]
    assert (row["machine"]["model"], row["shots"], row["frames"]) == ("card B", [0], 20)


def test_nobody_answers_for_as_long_as_was_asked(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10_000))
    monkeypatch.setattr(engine, "time", SimpleNamespace(monotonic=lambda: float(next(now))))
    events: list[dict[str, Any]] = []
    with pytest.raises(ResourceError, match=r"no worker answered within 17 s: 0 were .*--wait-s"):
        start(count=0, wait_s=17, on_event=events.append)
    told = [event for event in events if event["event"] == "waiting"]
    assert [event["most_s"] for event in told] == [17] * len(told)
    assert len(told) >= 2


def test_a_worker_that_cannot_work_at_all_is_told_of(start: Start) -> None:
    def missing(name: str, card: WorkerCard) -> WorkerCard:
        if name == "worker 1":
            raise WeightsError("the weights are not there")
        return card

    assert "a worker is not used: the weights are not there" in warnings(start(change_card=missing))

    def none(name: str, card: WorkerCard) -> WorkerCard:
        raise WeightsError("the weights are not there")

    with pytest.raises(WeightsError, match="the weights are not there"):
        start("b.mp4", change_card=none)


def full(monkeypatch: pytest.MonkeyPatch, *workers: str, at: str) -> None:
    """The disk of these workers has no space."""
    from limpid.cluster.spool import Spool

    for name in ("__init__", "_write"):
        real = getattr(Spool, name)

        def check(self: Any, what: Any, real: Any = real, name: str = name) -> Any:
            path = what if name == "__init__" else self._path
            if name == at and any(worker in str(path) for worker in workers):
                raise OSError(28, "No space left on device")
            return real(self, what)

        monkeypatch.setattr(Spool, name, check)


@pytest.mark.parametrize("at", ["__init__", "_write"], ids=["begin", "frames"])
def test_a_node_without_space_makes_nothing_and_the_others_make_the_film(
    start: Start, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    full(monkeypatch, "worker 1", at=at)
    events = start()
    (sentence,) = warnings(events)
    assert "makes nothing more: no space left for frames and segments on their way" in sentence
    assert events[-1]["event"] == "done"


def test_where_no_node_has_space_it_is_said_and_nothing_is_lost(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = interrupted(start, tmp_path)
    before = sorted(path.name for path in home.iterdir())
    assert any(name.partition(".")[0].isdigit() for name in before), before
    full(monkeypatch, "worker", at="_write")
    with pytest.raises(OutputError, match="set TMPDIR there to a folder on another disk"):
        start()
    assert sorted(path.name for path in home.iterdir()) == before


def test_what_is_refused_is_a_sentence_of_limpid(start: Start) -> None:
    with pytest.raises(LimpidError):
        start(change_card=changed(machine={"threads": 7}, versions={"python": "2.7"}))
