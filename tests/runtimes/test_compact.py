"""Weights of compact networks: the arrays that were written, in both number formats, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image_networks import blurring, compact, leveling, nearest

from limpid.runtimes.compact import read_compact
from limpid.runtimes.files import NcnnFiles
from limpid.types import WeightsError


def test_what_was_written_is_read_in_either_number_format(tmp_path: Path) -> None:
    plain = read_compact(NcnnFiles.of(compact(tmp_path / "plain", channels=5, layers=1, scale=2)))
    half = read_compact(NcnnFiles.of(compact(tmp_path / "half", channels=5, layers=1, scale=2, half=True)))
    assert [array.shape for array in plain.weights] == [(5, 3, 3, 3), (5, 5, 3, 3), (12, 5, 3, 3)]
    assert [array.shape for array in plain.biases] == [(5,), (5,), (12,)]
    assert [array.shape for array in plain.slopes] == [(5,), (5,)]
    assert plain.scale == half.scale == 2 and plain.channels == 5
    for name in ("weights", "biases", "slopes"):
        for first, second in zip(getattr(plain, name), getattr(half, name), strict=True):
            assert first.dtype == second.dtype == np.float32 and np.array_equal(first, second)
    assert (tmp_path / "half.bin").stat().st_size < 0.7 * (tmp_path / "plain.bin").stat().st_size


@pytest.mark.parametrize("make", [nearest, blurring, leveling])
def test_networks_of_another_form_are_refused_and_it_is_said_which_is_needed(make: object, tmp_path: Path) -> None:
    param = make(tmp_path / "n")  # type: ignore[operator]
    with pytest.raises(WeightsError, match=r"n\.param cannot be trained on from: .*; a compact network is needed: 3x3"):
        read_compact(NcnnFiles.of(param))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("PReLU l3", "ReLU l3", "come in another order"),
        ("0=6 1=3 2=1 3=1", "0=6 1=3 2=1 3=2", "no 3x3 one with a border of zeros"),
        ("4=1 5=1 6=162", "4=1 5=1 6=162 9=1", "or has more to it"),
        ("4=1 5=1 6=162", "4=1 6=162", "no 3x3 one"),
        ("6=162", "6=161", "no 3x3 one"),
        ("x0 h1 0=6", "data_0 h1 0=6", "read others than the ones before them"),
        ("plain output 0=0", "plain output 0=2", "no sum of the pixels"),
        ("PReLU l3 1 1 h0 x0 0=6", "PReLU l3 1 1 h0 x0 0=1", "one slope for each channel"),
        ("pixels 0=4", "pixels 0=2", "does not make 2x2 pixels"),
        ("pixels 0=4", "pixels 0=99999", "is no count"),
        ("0=6 1=3", "0=5 1=3", "no 3x3 one"),
        ("pixels plain output", "pixels pixels output", "no sum of the pixels"),
    ],
)
def test_a_layer_that_is_a_little_different_is_refused(old: str, new: str, says: str, tmp_path: Path) -> None:
    param = compact(tmp_path / "n")
    text = param.read_text()
    assert old in text
    param.write_text(text.replace(old, new, 1))
    with pytest.raises(WeightsError, match=says):
        read_compact(NcnnFiles.of(param))


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    param = compact(tmp_path / "n")
    file, data = param.with_suffix(".bin"), param.with_suffix(".bin").read_bytes()
    for bad, says in (
        (data[:-1], "ends too early"),
        (data + b"\0", "holds more than its layers have"),
        (b"\x38\x4b\x0d\x00" + data[4:], "neither of 32 nor of 16 bits"),
        (data[:4] + np.float32(np.nan).tobytes() + data[8:], "weights that are no numbers"),
    ):
        file.write_bytes(bad)
        with pytest.raises(WeightsError, match=says):
            read_compact(NcnnFiles.of(param))
