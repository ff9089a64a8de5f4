"""Trials of large pictures compute a part of them; pictures that do not grow are spoken of."""

from __future__ import annotations

import pytest
from fakes import local_method

from limpid.plan.device import choose_machine
from limpid.restoration.restorer import Restorer
from limpid.run.estimate import Estimate, reduced_note, trial_part
from limpid.settings import Settings


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
