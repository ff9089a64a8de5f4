"""Names of outputs and work folders, and what of them is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from clips import clip_at

from limpid.run.events import Meter, Teller
from limpid.run.places import Kind, Places, check_output, choose_places, default_output
from limpid.run.workspace import workspace
from limpid.settings import Settings
from limpid.types import OutputError


@pytest.mark.parametrize(
    ("source", "options", "kind", "name"),
    [
        ("film.mp4", {}, "film", "film_x4.mp4"),
        ("film.MKV", {}, "film", "film_x4.mkv"),
        ("film.webm", {}, "film", "film_x4.mkv"),
        ("film.avi", {}, "film", "film_x4.mkv"),
        ("film.mov", {"scale": 1.5}, "film", "film_x1.5.mov"),
        ("film.mp4", {"height": 1080, "preview": "1-2"}, "film", "film_1080p_preview.mp4"),
        ("film.mp4", {"codec": "ffv1"}, "film", "film_x4.mkv"),
        ("film.mp4", {"codec": "prores"}, "film", "film_x4.mov"),
        ("film.mp4", {"codec": "images"}, "film", "film_x4"),
        ("a.b", {}, "folder", "a.b_x4"),
        ("frames", {"codec": "h265"}, "folder", "frames_x4.mp4"),
        ("pic.png", {}, "still", "pic_x4.png"),
        ("pic.JPEG", {"scale": 2}, "still", "pic_x2.jpg"),
        ("pic.exr", {}, "still", "pic_x4.png"),
        ("pic.avif", {"codec": "images"}, "still", "pic_x4.avif"),
        ("pic.png", {"codec": "ffv1"}, "still", "pic_x4.mkv"),
    ],
)
def test_default_names(source: str, options: dict[str, Any], kind: Kind, name: str) -> None:
    assert default_output(Path("/x") / source, Settings(**options), kind=kind) == Path("/x") / name


def test_work_folders_do_not_meet(tmp_path: Path) -> None:
    clip = clip_at(tmp_path / "in.mp4")
    beside = choose_places(clip, tmp_path / "out.mp4", Settings(), None)
    assert beside.work == tmp_path / ".out.mp4.limpid"
    assert beside.sidecar == tmp_path / "out.mp4.limpid.json"
    a, b = (choose_places(clip, tmp_path / d / "out.mp4", Settings(), tmp_path / "work").work for d in "ab")
    assert a.parent == b.parent == tmp_path / "work"
    assert a != b


def test_outputs_that_cannot_be_are_refused(tmp_path: Path) -> None:
    clip = clip_at(tmp_path / "in.mp4")
    (tmp_path / "full.mp4").mkdir()
    (tmp_path / "full.mp4" / "x").touch()
    with pytest.raises(OutputError, match="is a folder"):
        check_output(choose_places(clip, tmp_path / "full.mp4", Settings(), None), clip, overwrite=True)
    check_output(choose_places(clip, tmp_path / "new" / "folder" / "out.mp4", Settings(), None), clip, overwrite=False)
    if os.geteuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(OutputError, match="no permission"):
            check_output(choose_places(clip, tmp_path / "locked" / "out.mp4", Settings(), None), clip, overwrite=False)


def test_a_workspace_without_segments_goes_away_whatever_happens(tmp_path: Path) -> None:
    places = Places(source=tmp_path / "in.mp4", output=tmp_path / "o.mp4", work=tmp_path / ".o.mp4.limpid")
    for fails in (False, True):
        try:
            with workspace(places) as space:
                assert space.folder == places.work
                (places.work / "scan.json").touch()
                assert not fails
        except AssertionError:
            pass
        assert list(tmp_path.iterdir()) == []
    with workspace(places, dry_run=True) as space:
        assert space.folder is None
    assert list(tmp_path.iterdir()) == []


def test_the_meter_tells_rate_and_time_left() -> None:
    events: list[dict[str, Any]] = []
    now = [0.0]
    meter = Meter(Teller(events.append), "run", total=100, before=20, clock=lambda: now[0])
    meter.start()
    for second in range(1, 5):
        now[0] = float(second)
        meter.update(10 * second)
    assert [e["done"] for e in events] == [20, 30, 40, 50, 60]
    assert events[0]["fps"] is None
    assert events[-1]["fps"] == 10
    assert events[-1]["eta_s"] == 4
    now[0] += 0.01
    meter.update(41)
    assert len(events) == 5
    meter.update(80)
    assert events[-1]["done"] == 100


def test_the_meter_counts_parts_of_frames_from_when_the_work_began_and_never_goes_back() -> None:
    events: list[dict[str, Any]] = []
    now = [0.0]
    meter = Meter(Teller(events.append), "run", total=10, before=2, expected=4.0, clock=lambda: now[0])
    meter.start()
    assert (events[0]["fps"], events[0]["eta_s"]) == (None, 2)
    now[0] = 100.0
    meter.update(0)  # weights are loaded
    for second, done in ((101.0, 0.25), (102.0, 0.5), (103.0, 0), (104.0, 0.25), (108.0, 1.0)):
        now[0] = second
        meter.update(done)
    assert [e["done"] for e in events] == [2, 2, 2.25, 2.5, 2.5, 2.5, 3]
    assert [e["fps"] for e in events[2:4]] == [0.25, 0.25]
    assert events[-1]["eta_s"] == 7 / (1 / 8)
    assert isinstance(events[-1]["done"], int)


def test_the_meter_tells_no_more_than_five_times_a_second() -> None:
    events: list[dict[str, Any]] = []
    now = [0.0]
    meter = Meter(Teller(events.append), "run", total=10_000, clock=lambda: now[0])
    meter.start()
    for count in range(1, 10_000):
        now[0] = count / 1000
        meter.update(count)
    assert len(events) <= 51


def test_notes_and_warnings_are_told_once() -> None:
    events: list[dict[str, Any]] = []
    teller = Teller(events.append)
    for _ in range(2):
        teller.note("a")
        teller.warn("b")
    assert events == [{"event": "note", "message": "a"}, {"event": "warning", "message": "b"}]
    assert (teller.notes, teller.warnings) == (["a"], ["b"])
