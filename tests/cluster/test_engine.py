"""Whole runs with workers in threads: the file, its record, what is told, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crews
import media
import pytest

from limpid import upscale
from limpid.cluster import engine
from limpid.cuts.local import Local
from limpid.durable.files import sha256_of

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
        monkeypatch.setattr(engine, "check_ray", lambda: None)
        monkeypatch.setattr(engine.Workers, "_hire", lambda self, settings, threads: (crew, 1))
        events: list[dict[str, Any]] = []
        upscale(clip, tmp_path / output, workers="2", on_event=events.append, **{**CUT, **about})
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
