"""What is told before the input is read: by names and headers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from media import make_video

from limpid.run import early
from limpid.settings import Settings
from limpid.types import OutputError, SettingsError


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_video(tmp_path / "film.mp4", frames=3, audio=True)


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("x.avi", {}, OutputError),
        ("x.mov", {"codec": "ffv1"}, OutputError),
        ("x.png", {}, OutputError),
        ("x.mp4", {"preset": "nope"}, SettingsError),
        ("x.mp4", {"bit_depth": 16}, SettingsError),
        ("film.mp4/x.mp4", {}, OutputError),
    ],
)
def test_what_cannot_be_is_refused_by_the_header(
    film: Path, tmp_path: Path, name: str, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        early.look_ahead(film, tmp_path / name, Settings(**options))


def test_what_can_be_gives_notes_only(film: Path, tmp_path: Path) -> None:
    assert early.look_ahead(film, tmp_path / "x.mkv", Settings()) == ()
    assert early.look_ahead(film, None, Settings(scale=1)) == ()


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_devices_that_cannot_be_here(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(early, "version", lambda _: "2.9.0+cpu")
    monkeypatch.setattr(early.sys, "platform", "linux")
    with pytest.raises(SettingsError, match="use --device cpu"):
        early.check_device_name(device)


def test_devices_that_may_be_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "version", lambda _: "2.9.0+cu130")
    for device in ("auto", "cpu", "cuda", "cuda:3"):
        early.check_device_name(device)


def test_folders_that_are_not_there_yet_are_no_reason(film: Path, tmp_path: Path) -> None:
    """A run makes them; what looks ahead does not."""
    assert early.look_ahead(film, tmp_path / "new" / "deep" / "x.mp4", Settings()) == ()
    assert not (tmp_path / "new").exists()
