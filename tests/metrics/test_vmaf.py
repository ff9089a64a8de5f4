"""VMAF through an FFmpeg: which way it goes, what it is fed, and the reasons where it cannot be had."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from limpid.metrics import Clips, measure
from limpid.metrics import vmaf as part
from limpid.metrics.kinds import NotMeasurableError

Clip = tuple[list[np.ndarray], list[np.ndarray]]
posix = pytest.mark.skipif(os.name != "posix", reason="the stand-in for ffmpeg is a script with a #! line")


@pytest.fixture
def truth(clip: Clip) -> np.ndarray:
    return np.stack(clip[0])


@pytest.fixture
def real() -> None:
    try:
        part.find_ffmpeg()
    except NotMeasurableError as error:
        pytest.skip(str(error))


def noisy(frames: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, frames.shape)
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)


@pytest.mark.usefixtures("real")
def test_a_clip_against_itself_has_97_to_100_and_noise_lowers_it(truth: np.ndarray) -> None:
    found = [measure(["vmaf"], Clips(sr, truth))["vmaf"] for sr in (truth, noisy(truth, 8), noisy(truth, 24))]
    values = [f.value or 0.0 for f in found]
    assert 97 <= values[0] <= 100
    assert values[0] > values[1] > values[2] > 0
    for answer in found:
        assert answer.per_frame is not None
        assert len(answer.per_frame) == len(truth)
        assert answer.value == pytest.approx(np.mean(answer.per_frame))


@pytest.mark.usefixtures("real")
def test_result_and_truth_are_not_exchanged(truth: np.ndarray) -> None:
    worse = noisy(truth, 16)
    assert part.frames_vmaf(worse, truth) != part.frames_vmaf(truth, worse)


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(("height", "width"), [(17, 17), (33, 51), (64, 31)])
def test_odd_sizes(height: int, width: int, truth: np.ndarray) -> None:
    small = truth[:2, :height, :width]
    assert len(part.frames_vmaf(small, small)) == 2


def test_small_frames_have_a_reason() -> None:
    with pytest.raises(NotMeasurableError, match="needs 17x17 pixels, not 64x16"):
        part.frames_vmaf(*[np.zeros((1, 16, 64, 3), np.uint8)] * 2)


def test_without_a_program_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch, truth: np.ndarray) -> None:
    monkeypatch.setattr(part, "_packaged", lambda: None)
    monkeypatch.setenv("PATH", "")
    answer = str(measure(["vmaf"], Clips(truth, truth))["vmaf"])
    assert answer.startswith("n/a: needs ffmpeg with libvmaf, found no ffmpeg")
    assert "pip install imageio-ffmpeg" in answer


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, measuring: str, listed: str = " .. libvmaf VV->V") -> None:
    """Puts a program called ffmpeg on the search path, that lists filters and then does what is given."""
    program = folder / "ffmpeg"
    lines = [f"#!{sys.executable}", "import sys", "if '-filters' in sys.argv:", f"    print({listed!r})", "else:"]
    program.write_text("\n".join([*lines, f"    {measuring}", ""]))
    program.chmod(0o755)
    monkeypatch.setattr(part, "_packaged", lambda: None)
    monkeypatch.setenv("PATH", str(folder))


@posix
def test_a_program_without_the_filter_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "pass", listed=" .. scale V->V  not libvmaf")
    with pytest.raises(NotMeasurableError, match=r"found .*ffmpeg without libvmaf"):
        part.find_ffmpeg()


@posix
@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("sys.exit('no such model')", "failed with 1: no such model"),
        ("sys.stdin.buffer.read()", "no log of VMAF"),
        ("sys.stdin.buffer.read(); open('vmaf.json', 'w').write('[1')", "no log of VMAF"),
        ("sys.stdin.buffer.read(); open('vmaf.json', 'w').write('{\"frames\": []}')", "measured 0 frames of 5"),
    ],
)
def test_failures_are_reasons(
    does: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truth: np.ndarray
) -> None:
    stand_in(tmp_path, monkeypatch, does)
    answer = str(measure(["vmaf"], Clips(truth, truth))["vmaf"])
    assert answer.startswith("n/a: ")
    assert reason in answer
