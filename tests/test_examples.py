"""The scripts in examples/ run, and do what they say."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import bad_files
import pytest

import limpid
from limpid.methods import METHODS


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"limpid_example_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for their module there
    spec.loader.exec_module(module)
    return module


def test_a_method_of_parts_that_are_there(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = repository / "examples" / "own_method.py"
    assert len(path.read_text().splitlines()) <= 40
    bad_files.video(tmp_path / "film.mp4", frames=6)
    monkeypatch.setitem(METHODS, "steady", load(path).steady)
    report = limpid.upscale(tmp_path / "film.mp4", tmp_path / "out.mkv", method="steady", preview="0-0.1")
    assert report.output.is_file() and report.frames >= 2


@pytest.mark.parametrize("name", ["upscale-a-video", "dc-vsr"])
def test_one_call_of_a_denoiser(repository: Path, tmp_path: Path, name: str) -> None:
    x0, eps = load(repository / "examples" / "one_call.py").one_call(name, tmp_path, frames=2, size_px=16)
    assert x0.shape == eps.shape and x0.shape[:3] == (1, 4, 2)
    assert x0.isfinite().all() and x0.std() > 0


def test_a_package_that_adds_a_method(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip would install, without pip: the entry point that its pyproject.toml names."""
    folder = repository / "examples" / "plugin"
    points = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]["limpid.methods"]
    module, _, function = points["sharper"].partition(":")
    make = getattr(load(folder / "src" / module / "__init__.py"), function)
    entry = SimpleNamespace(name="sharper", load=lambda: make)
    monkeypatch.setattr("limpid.methods.entry_points", lambda group: [entry] if group == "limpid.methods" else [])
    bad_files.video(tmp_path / "film.mp4", frames=6)
    whole = limpid.upscale(tmp_path / "film.mp4", tmp_path / "a.mkv", method="sharper", codec="ffv1")
    tiles = limpid.upscale(tmp_path / "film.mp4", tmp_path / "b.mkv", method="sharper", codec="ffv1", tile_px=16)
    assert whole.output.read_bytes() == tiles.output.read_bytes()
