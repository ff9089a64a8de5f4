"""What lies in a work folder may have been edited by anyone: it is checked, or the run begins anew (kind G)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import local_method

import limpid
from limpid.methods import METHODS
from limpid.run.journal import NAME, Journal, line_check
from limpid.types import Interrupted


@pytest.fixture(scope="module", autouse=True)
def _fast() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "fast", lambda: local_method(name="fast", options=frozenset({"seed"})))
        yield


@pytest.fixture(scope="module")
def once_stopped(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "segment":
            raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Interrupted):
        limpid.upscale(clip, folder / "o.mkv", method="fast", segment_frames=5, on_event=stop)
    return folder / ".o.mkv.limpid"


@pytest.fixture
def stopped(once_stopped: Path, tmp_path: Path) -> Path:
    """The work folder of a run that was stopped after its first segment."""
    return Path(shutil.copytree(once_stopped, tmp_path / once_stopped.name))


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / NAME).read_text().splitlines()]


def write(folder: Path, lines: list[Any], *, checks: bool) -> None:
    """``checks``: with checks that fit, as somebody writes who knows how."""
    check = ""
    for line in lines:
        if checks and isinstance(line, dict):
            line.pop("check", None)
            line["check"] = check = line_check(check, line)
    (folder / NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))


def set_at(lines: list[Any], path: tuple[Any, ...], value: Any) -> None:
    holder: Any = lines
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value


EDITS: list[tuple[tuple[Any, ...], Any]] = [
    ((0, "limpid_journal"), 99),
    ((0, "plan"), []),
    ((0, "plan", "segments"), []),
    ((0, "plan", "segments", 0), [0, 0, 15, 0, 4]),
    ((0, "plan", "segments", 0, 4), 4),
    ((0, "plan", "segments", 0, 3), -1),
    ((0, "plan", "segments", 0, 6), 10**30),
    ((0, "plan", "frames"), [0, 10**18]),
    ((0, "plan", "threads"), 0),
    ((0, "plan", "threads"), "2"),
    ((0, "plan", "rung"), {"chunk_frames": -3}),
    ((0, "plan", "rung", "chunk_frames"), 1e308),
    ((0, "plan", "rung", "tile_px"), 0),
    ((0, "plan", "offload"), "everything"),
    ((0, "plan", "grid_frames"), 0),
    ((0, "plan", "reasons"), 7),
    ((0, "plan", "peak_bytes"), None),
    ((0, "facts"), 3),
    ((0, "estimate"), {"seconds": []}),
    ((0, "estimate", "segment_bytes"), "x"),
    ((1, "segment"), None),
    ((1, "segment", "index"), 99),
    ((1, "segment", "index"), 1),
    ((1, "segment", "index"), "0"),
    ((1, "segment", "file"), "../../../etc/passwd"),
    ((1, "segment", "file"), "000001.nut"),
    ((1, "segment", "file"), 0),
    ((1, "segment", "frames"), 1),
    ((1, "segment", "size"), -1),
    ((1, "segment", "sha256"), "x"),
    ((1, "segment", "sha256"), None),
    ((1, "segment", "carry"), "../x.safetensors"),
    ((1, "segment", "more"), 1),
    ((1,), {"rung": {"chunk_frames": 3}, "frame": -1}),
    ((1,), {"rung": {"chunk_frames": 3, "tile_px": "x"}, "frame": 0}),
    ((1,), {"rung": {"chunk_frames": 12345}, "frame": 0}),
    ((1,), {"published": {"size": "x", "sha256": 3}}),
    ((1,), {"published": {"size": 3}}),
    ((1,), {"segment": [[[[]]]]}),
]


@pytest.mark.parametrize("checks", [False, True], ids=["naive", "with checks"])
@pytest.mark.parametrize(("path", "value"), EDITS, ids=str)
def test_an_edited_journal_is_not_used(stopped: Path, path: tuple[Any, ...], value: Any, checks: bool) -> None:
    lines = lines_of(stopped)
    set_at(lines, path, value)
    write(stopped, lines, checks=checks)
    journal = Journal.load(stopped)
    if journal is not None and checks:  # what only this run can tell: sizes of pieces and an estimate of its kind
        assert (path[0] == 0 and path[1] == "estimate") or "rung" in lines[1]
        return
    assert journal is None
    with pytest.raises(ValueError, match=r"."):
        Journal.read(stopped)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((0, "plan", "segments", 0, 4), 4),
        ((0, "estimate", "segment_bytes"), "x"),
        ((1, "segment", "file"), "../o.mkv"),
        ((1,), {"rung": {"chunk_frames": 12345}, "frame": 0}),
    ],
    ids=str,
)
@pytest.mark.parametrize("checks", [False, True])
def test_the_same_command_warns_and_begins_anew(
    stopped: Path, clip: Path, tmp_path: Path, path: tuple[Any, ...], value: Any, checks: bool
) -> None:
    lines = lines_of(stopped)
    set_at(lines, path, value)
    write(stopped, lines, checks=checks)
    report = limpid.upscale(clip, tmp_path / "o.mkv", method="fast", segment_frames=5)
    assert any("not used" in warning for warning in report.warnings)
    assert report.resumed_segments == 0
    limpid.upscale(clip, tmp_path / "p.mkv", method="fast", segment_frames=5)
    assert (tmp_path / "o.mkv").read_bytes() == (tmp_path / "p.mkv").read_bytes()


@pytest.mark.parametrize(
    "edit",
    [
        lambda values: values["timeline"].update(pts=[5, 4, 3]),
        lambda values: values["timeline"].update(cuts=[1]),
        lambda values: values["timeline"].update(time_base="1e99999999"),
        lambda values: values["timeline"].update(last_duration=-1),
        lambda values: values["timeline"].update(pts=[2**70]),
        lambda values: values.update(timeline=None),
        lambda values: values.update(check=""),
        lambda values: values.clear(),
    ],
)
@pytest.mark.parametrize("checks", [False, True])
def test_an_edited_scan_is_made_again(stopped: Path, clip: Path, tmp_path: Path, edit: Any, checks: bool) -> None:
    from limpid.durable.files import digest_of

    values = json.loads((stopped / "scan.json").read_text())
    edit(values)
    if checks and values.get("check") and "timeline" in values:
        values["check"] = digest_of([values["key"], values["timeline"]])
    (stopped / "scan.json").write_text(json.dumps(values))
    events: list[dict[str, Any]] = []
    report = limpid.upscale(clip, tmp_path / "o.mkv", method="fast", segment_frames=5, on_event=events.append)
    assert report.frames == 40
    assert any(event["event"] == "progress" and event["stage"] == "scan" for event in events)


def test_the_first_resume_does_not_scan_again(stopped: Path, clip: Path, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    report = limpid.upscale(clip, tmp_path / "o.mkv", method="fast", segment_frames=5, on_event=events.append)
    assert report.resumed_segments >= 1
    assert not any(event["event"] == "progress" and event["stage"] == "scan" for event in events)


@pytest.mark.parametrize("text", ["[" * 100_000, "\0" * 1000, "9" * 100_000 + "\n", '{"a": NaN}\n', "null\n"])
def test_what_is_no_journal_does_not_stop_a_run(stopped: Path, clip: Path, tmp_path: Path, text: str) -> None:
    (stopped / NAME).write_text(text)
    assert limpid.upscale(clip, tmp_path / "o.mkv", method="fast", segment_frames=5).frames == 40
