"""Workers: real methods on small clips, and every way in which a process can end."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from limpid.bench import jobs
from limpid.bench.frames import read_frames
from limpid.bench.jobs import Variant, upscale_in_a_process
from limpid.bench.worker import do

BICUBIC = Variant(label="bicubic", method="bicubic", changes={})


def test_a_baseline_is_what_opencv_gives_and_its_cost_is_known(clips: Path, tmp_path: Path) -> None:
    outcome = upscale_in_a_process(BICUBIC, clips / "car", tmp_path / "out" / "car", fps="24", settings={})
    assert outcome.error is None and outcome.seconds >= outcome.restore_s > 0
    assert outcome.peak_bytes is not None and 2**24 < outcome.peak_bytes < 2**30
    small, _ = read_frames(clips / "car")
    large, _ = read_frames(tmp_path / "out" / "car")
    assert np.array_equal(large[0], cv2.resize(small[0], (256, 256), interpolation=cv2.INTER_CUBIC))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["car"]


def test_a_method_writes_without_loss_and_tells_its_borders(clips: Path, tmp_path: Path) -> None:
    settings = {"scale": 4.0, "steps": 1, "segment_frames": 2, "tile_px": 32}
    job = {"method": "tiny", "source": str(clips / "car"), "target": str(tmp_path / "car.mkv"), "fps": "25"}
    said = do({**job, "settings": settings})
    assert said["error"] is None and said["seconds"] >= said["restore_s"] > 0
    assert said["borders"] == (2,) and said["tile_columns"] == said["tile_rows"] == (128,)
    frames, fps = read_frames(tmp_path / "car.mkv")
    assert frames.shape == (4, 256, 256, 3) and fps == 25


def test_an_error_in_the_worker_is_a_sentence(tmp_path: Path) -> None:
    outcome = upscale_in_a_process(BICUBIC, tmp_path / "nothing", tmp_path / "out", fps="24", settings={})
    assert outcome.error is not None and "nothing" in outcome.error and "\n" not in outcome.error


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "killed by SIGKILL, most likely for lack of memory",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("raise MemoryError('too big')", "ended with code 1: MemoryError: too big"),
    ],
)
def test_a_worker_that_dies_is_an_error(
    script: str, says: str, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{script}"\n')
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(jobs.sys, "executable", str(tmp_path / "python"))
    outcome = upscale_in_a_process(BICUBIC, clips / "car", tmp_path / "out", fps="24", settings={})
    assert outcome.error is not None and says in outcome.error
