"""A command line whose `limpid.upscale` is a fake that writes a small file and tells events like the real one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import limpid
from limpid.cli.inputs import Job, output_of
from limpid.cli.main import main
from limpid.settings import Settings


@dataclass
class FakeReport:
    output: Path


@dataclass
class FakeUpscale:
    """Records its calls; raises what ``fails`` holds for an input's name."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    fails: dict[str, BaseException] = field(default_factory=dict)

    def __call__(self, source: Path, output: Path | None, *, settings: Settings, **options: Any) -> FakeReport:
        self.calls.append({"input": source, "output": output, "settings": settings, **options})
        if source.name in self.fails:
            raise self.fails[source.name]
        target = output or output_of(Job(input=source), settings)
        self.tell(options["on_event"], source)
        if not options["dry_run"]:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.is_dir():
                target.write_bytes(b"video")
        return FakeReport(output=target)

    def tell(self, on_event: Callable[[dict[str, Any]], None], source: Path) -> None:
        plan = {
            "frames": [0, 48],
            "segments": 1,
            "halo_frames": 4,
            "threads": 2,
            "peak_bytes": 1e9,
            "rung": {"chunk_frames": 24, "tile_px": None, "window_frames": None},
        }
        for event in (
            {"event": "stage", "stage": "probe"},
            {
                "event": "clip",
                "path": str(source),
                "width": 320,
                "height": 180,
                "fps": "24000/1001",
                "codec": "h264",
                "duration_s": 2.0,
                "num_frames": 48,
            },
            {"event": "plan", "plan": plan},
            {
                "event": "estimate",
                "seconds": 75.0,
                "frames_per_s": 6.0,
                "segment_bytes": 4e6,
                "output_bytes": 4e6,
                "free_bytes": 9e9,
                "calibrated": True,
            },
            {"event": "resume", "segments": 1, "of": 3, "frames": 48},
            {"event": "progress", "stage": "run", "done": 12, "total": 48, "fps": 6.0, "eta_s": 6.0},
            {"event": "progress", "stage": "run", "done": 13, "total": None, "fps": None, "eta_s": None},
            {"event": "segment", "index": 0, "of": 1, "start": 0, "stop": 48, "bytes": 1000},
            {"event": "rung", "tile_px": 256, "chunk_frames": 12, "window_frames": None},
            {"event": "note", "message": "the size is rounded up to even"},
            {"event": "warning", "message": "two packets were damaged"},
            {"event": "done", "output": "x", "frames": 48, "seconds": 8.0, "fps": 6.0},
        ):
            on_event(event)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeUpscale:
    upscale = FakeUpscale()
    monkeypatch.setitem(vars(limpid), "upscale", upscale)
    monkeypatch.setattr("limpid.run.early.look_ahead", lambda *_: ())  # the inputs of these tests are no media
    monkeypatch.delenv("LIMPID_DEBUG", raising=False)
    return upscale


@dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs ``limpid ARGUMENTS...`` in this process."""

    def run(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err or "--traceback" in arguments
        return Ran(code=code, out=out, err=err)

    return run


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"not looked at by the fake")
    return path
