"""Trials of large pictures compute a part of them; pictures that do not grow are spoken of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fakes import local_method
from torch import Tensor

from limpid.plan.device import choose_machine
from limpid.plan.segments import Cutting, Plan, Rung, plan_segments
from limpid.restoration.chunk import Chunk
from limpid.restoration.restorer import Restorer
from limpid.run import estimate as estimates
from limpid.run.estimate import Estimate, calibrate, reduced_note, trial_part, worth_a_trial
from limpid.settings import Settings
from limpid.types import OutputSpec, VideoFrame, Window


def restorer_of(width: int, height: int) -> Restorer:
    machine = choose_machine("cpu", "float32")
    return Restorer(method=local_method(), settings=Settings(), machine=machine, width=width, height=height)


@pytest.mark.parametrize(
    ("size", "part"),
    [
        ((180, 320), None),
        ((512, 512), None),
        ((2160, 3840), (range(888, 1272), range(1728, 2112))),
        ((100, 16384), (range(100), range(8000, 8384))),
    ],
)
def test_a_trial_takes_the_middle_of_large_pictures(size: tuple[int, int], part: tuple[range, range] | None) -> None:
    assert trial_part(size) == part


def test_a_part_is_resized_as_the_whole_is() -> None:
    small = restorer_of(3840, 2160).of_part((2160, 3840), (384, 384))
    assert (small.width, small.height) == (384, 384)
    small = restorer_of(1920, 1080).of_part((2160, 3840), (100, 90))
    assert (small.width, small.height) == (44, 50)


def test_a_run_whose_output_does_not_grow_says_what_it_costs() -> None:
    estimate = Estimate(seconds=50, frames_per_s=0.2, segment_bytes=1, output_bytes=1, calibrated=True)
    note = reduced_note((1080, 1920), restorer_of(960, 540), estimate)
    assert note is not None
    assert "960x540, is no larger than the input, 1920x1080" in note
    assert "restored at 3840x2160" in note and "5 s per frame" in note
    assert "no more detail than 480x270" in note and "16 times less work" in note
    assert reduced_note((270, 480), restorer_of(960, 540), estimate) is None


def plan_of(count: int) -> Plan:
    frames, cutting = Window(start=0, stop=count), Cutting(frames=10, longest_frames=10, halo_frames=1)
    return Plan(
        segments=plan_segments([(0, count)], frames, cutting),
        frames=frames,
        local=True,
        halo_frames=1,
        grid_frames=1,
        rung=Rung(chunk_frames=8),
        threads=1,
        peak_bytes=1,
    )


def test_whoever_asks_what_a_run_takes_is_told_however_short_it_is() -> None:
    assert worth_a_trial(plan_of(3), dry=True)
    assert not worth_a_trial(plan_of(3), dry=False)
    assert worth_a_trial(plan_of(200), dry=False)


NOW = [0.0]


class Slow(Restorer):
    """Takes an hour for each of 20 parts of a chunk, by the clock ``NOW``."""

    def __call__(self, chunk: Chunk) -> Tensor:
        chunk.on_share(0.0)
        for part in range(1, 21):
            NOW[0] += 3600
            chunk.on_share(part / 20)
        raise AssertionError("the trial was not ended")


@contextmanager
def no_writer(path: Path, spec: OutputSpec) -> Iterator[Any]:
    raise AssertionError("there is nothing to encode")
    yield


def test_a_trial_of_a_slow_method_ends_after_its_first_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "time", SimpleNamespace(perf_counter=lambda: NOW[0]))
    small = restorer_of(96, 64)
    slow = Slow(method=small.method, settings=small.settings, machine=small.machine, width=96, height=64)
    spec = OutputSpec(codec="h264", container="mp4", width=96, height=64, fps=Fraction(25), time_base=Fraction(1, 25))
    found = calibrate(
        plan_of(40),
        read=lambda window: [VideoFrame(i, np.zeros((16, 24, 3), np.uint8)) for i in range(window.start, window.stop)],
        restorer=slow,
        size=(16, 24),
        open_as=no_writer,
        spec=spec,
        segment_spec=spec,
        shared=True,
    )
    # 9 frames (a chunk of 8 and one beside it) take 20 hours.
    frames = 40 + 2 * 5 - 2
    assert found.calibrated and found.output_bytes > 0
    assert found.seconds == pytest.approx(20 * 3600 / 9 * frames, rel=0.2)
