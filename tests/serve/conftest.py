"""A server with a fake engine for the tests of ``limpid serve``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

import serving


@pytest.fixture(autouse=True)
def _own_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_PRESETS", str(tmp_path / "presets"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """The one root of the server."""
    (tmp_path / "films").mkdir()
    return tmp_path / "films"


@pytest.fixture
def client(tmp_path: Path, films: Path) -> Iterator[serving.Client]:
    with serving.running_server(serving.fake_config(tmp_path / "state", films)) as found:
        yield found
