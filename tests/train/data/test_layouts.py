"""Data sets on disk are compared with what their publishers gave out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from limpid.train.data import layouts
from limpid.train.data.layouts import LAYOUTS, check_layout
from limpid.train.data.prepare_command import add_options, run_prepare
from limpid.types import InputError, SettingsError


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """REDS with three frames per clip instead of a hundred: 24 thousand files take seconds."""
    parts = tuple(replace(part, frames=3) for part in LAYOUTS["reds"].parts)
    changed = {**LAYOUTS, "reds": replace(LAYOUTS["reds"], parts=parts)}
    monkeypatch.setattr(layouts, "LAYOUTS", changed)


def reds(folder: Path, count: int = 240) -> Path:
    for clip in range(count):
        here = folder / "train" / "train_sharp" / f"{clip:03d}"
        here.mkdir(parents=True)
        for frame in range(3):
            (here / f"{frame:08d}.png").touch()
    return folder


@pytest.mark.usefixtures("short")
def test_a_complete_set(tmp_path: Path) -> None:
    checked = check_layout(reds(tmp_path), "reds")
    assert checked.complete and "training clips: 240 found of 240" in checked.lines
    assert "validation clips: 0 found of 30; none" in checked.lines
    assert "--keep-out train/train_sharp/000" in checked.lines[-1]


@pytest.mark.usefixtures("short")
def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reds(tmp_path, 3)
    (tmp_path / "train/train_sharp/001/00000001.png").unlink()
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert run_prepare(parser.parse_args([str(tmp_path), "--check", "REDS"])) == 3
    says = capsys.readouterr().out
    assert "3 found of 240; missing: 003, 004, 005, 006, 007 and 232 more; fewer than 3 frames in 001 (2)" in says


def test_nothing_and_unknown(tmp_path: Path) -> None:
    for name in LAYOUTS:
        checked = check_layout(tmp_path, name)
        assert not checked.complete and "nothing of it is in" in checked.lines[-1]
    with pytest.raises(SettingsError, match="no layout 'Vimeo': use one of REDS, YouHQ, WebVid, OpenVid"):
        check_layout(tmp_path, "Vimeo")
    with pytest.raises(InputError, match="no such folder"):
        check_layout(tmp_path / "none", "REDS")


@pytest.mark.parametrize(
    ("name", "path", "what"),
    [
        ("YouHQ", "animals/clip/0001.png", "clips: 1 found of 38576; 38575 are missing"),
        ("YouHQ", "animals/clip.mp4", "clips: 1 found of 38576; 38575 are missing"),
        ("WebVid", "part0/000001_000050/123.mp4", "videos: 1 found"),
        ("OpenVid", "train/openvid-train-000000.tar", "shards: 1 found"),
        ("OpenVid", "OpenVid-1M.csv", "captions: 1 found"),
    ],
)
def test_other_sets(tmp_path: Path, name: str, path: str, what: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    assert what in check_layout(tmp_path, name).lines
