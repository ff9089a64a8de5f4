"""A run has one commit point: killed anywhere, the same command completes, and nothing is replaced unasked (B, D)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import local_method

import limpid
from limpid.methods import METHODS
from limpid.run import finish as finish_module
from limpid.types import OutputError


class Killed(BaseException):
    """Stands for SIGKILL where nothing is cleaned up on the way out; see `kill_in`."""


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "fast", lambda: local_method(name="fast", options=frozenset({"seed"})))


def upscale(clip: Path, output: Path, **options: Any) -> Any:
    return limpid.upscale(clip, output, method="fast", segment_frames=20, **options)


def no_cleaning(*arguments: Any, **options: Any) -> None:
    return None


def killed_in(patch: pytest.MonkeyPatch, name: str, *, after: bool) -> None:
    """The run ends in a function of the end of a run, before or after it did its work, and cleans nothing up."""
    original = getattr(finish_module, name)

    def dies(*arguments: Any, **options: Any) -> Any:
        if after:
            original(*arguments, **options)
        raise Killed

    patch.setattr(finish_module, name, dies)
    patch.setattr("limpid.run.workspace._leave", no_cleaning)
    patch.setattr("limpid.video.mux.discard", no_cleaning)
    patch.setattr("limpid.video.stills.discard", no_cleaning)


@pytest.mark.parametrize("kind", ["o.mkv", "frames"])
@pytest.mark.parametrize(
    ("name", "after"), [("write_atomic", False), ("write_atomic", True), ("settle", False), ("settle", True)]
)
def test_killed_around_the_commit_the_same_command_completes(
    clip: Path, tmp_path: Path, kind: str, name: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole, output = tmp_path / "whole" / kind, tmp_path / "killed" / kind
    upscale(clip, whole)
    with monkeypatch.context() as patch:
        killed_in(patch, name, after=after)
        with pytest.raises(Killed):
            upscale(clip, output)
    assert output.exists() == (name == "settle")
    report = upscale(clip, output)
    assert report.resumed_segments == len(report.plan["segments"])
    found, due = ((sorted(p.iterdir()) if p.is_dir() else [p]) for p in (output, whole))
    assert [p.read_bytes() for p in found] == [p.read_bytes() for p in due]
    assert sorted(p.name for p in output.parent.iterdir()) == sorted([kind, f"{kind}.limpid.json"])
    with pytest.raises(OutputError, match="exists already, Limpid made it from"):
        upscale(clip, output)


def test_killed_while_the_home_is_deleted(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "o.mkv"
    with monkeypatch.context() as patch:
        patch.setattr("limpid.run.workspace.empty", no_cleaning)
        upscale(clip, output)
    before, left = output.read_bytes(), [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]
    assert left == [".o.mkv.limpid.done"]
    report = upscale(clip, output)
    assert any("finished this output" in note for note in report.notes)
    assert output.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.mkv", "o.mkv.limpid.json"]


def test_what_a_home_says_counts_for_its_own_run_only(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "o.mkv"
    with monkeypatch.context() as patch:
        patch.setattr("limpid.run.workspace.empty", no_cleaning)
        upscale(clip, output)
    output.write_bytes(b"the user's own, by now")
    with pytest.raises(OutputError, match="exists"):
        upscale(clip, output)
    assert output.read_bytes() == b"the user's own, by now"


@pytest.mark.parametrize("kind", ["o.mkv", "frames"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_appears_during_the_run_is_not_replaced_unasked(
    clip: Path, tmp_path: Path, kind: str, overwrite: bool
) -> None:
    output = tmp_path / kind

    def appear(event: dict[str, Any]) -> None:
        if event["event"] == "stage" and event["stage"] == "finish":
            (output if "." in kind else output / "00000000.png").parent.mkdir(exist_ok=True)
            (output if "." in kind else output / "00000000.png").write_bytes(b"theirs")

    if overwrite:
        upscale(clip, output, on_event=appear, overwrite=True)
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted([kind, f"{kind}.limpid.json"])
        return
    with pytest.raises(OutputError, match="exists"):
        upscale(clip, output, on_event=appear)
    theirs = output if "." in kind else output / "00000000.png"
    assert theirs.read_bytes() == b"theirs"
    assert not (tmp_path / f"{kind}.limpid.json").exists()
    theirs.unlink()
    report = upscale(clip, output)
    assert report.resumed_segments == len(report.plan["segments"])


def test_a_full_disk_at_the_end_keeps_the_segments(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "o.mkv"

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(finish_module, "write_atomic", full)
        with pytest.raises(OutputError, match="disk is full"):
            upscale(clip, output)
    assert not output.exists()
    report = upscale(clip, output)
    assert report.resumed_segments == len(report.plan["segments"])


def test_the_record_tells_the_bytes_of_its_output(clip: Path, tmp_path: Path) -> None:
    from limpid.durable.files import sha256_of

    upscale(clip, tmp_path / "o.mkv")
    run = json.loads((tmp_path / "o.mkv.limpid.json").read_text())["run"]
    assert (run["size"], run["sha256"]) == ((tmp_path / "o.mkv").stat().st_size, sha256_of(tmp_path / "o.mkv"))


def test_the_command_line_asks_for_unfinished_runs(tmp_path: Path) -> None:
    from limpid.cli.inputs import plan_jobs

    (tmp_path / "film.mp4").write_bytes(b"x")
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "00000000.png").touch()
    (tmp_path / "o.mp4").write_bytes(b"x")
    with pytest.raises(OutputError, match="not written by Limpid"):
        plan_jobs([str(tmp_path / "film.mp4"), str(tmp_path / "o.mp4")], None)
    for name in ("o.mp4", "frames"):
        (tmp_path / f".{name}.limpid").mkdir()
        ((job,), _) = plan_jobs([str(tmp_path / "film.mp4"), str(tmp_path / name)], None)
        assert job.output == tmp_path / name and not job.into_folder


@pytest.mark.parametrize("name", ["", ".", "/", "..", "./", "film.mp4/.."])
def test_names_that_are_only_folders_are_no_results(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from limpid.cli.inputs import has_sidecar, plan_jobs
    from limpid.run.places import is_result

    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mp4").write_bytes(b"x")
    assert not is_result(Path(name)) and not has_sidecar(Path(name))
    plan_jobs(["film.mp4", name], None)
    plan_jobs(["film.mp4"], name)
