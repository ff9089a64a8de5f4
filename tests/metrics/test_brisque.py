"""BRISQUE: statistics equal to pyiqa's, the regression to a slow sum, LIBSVM's files, and what is no such file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from limpid.metrics import Clips, measure
from limpid.metrics.brisque import FEATURES, frame_features, read_regression, regress
from limpid.metrics.kinds import NotMeasurableError
from limpid.metrics.natural import half

# Computed by pyiqa 0.1.16 (natural_scene_statistics at two scales), in double precision.
ASTRONAUT = [2.026, 0.22462, 0.66, 0.024261, 0.051953, 0.071305, 0.663, 0.015416, 0.056495, 0.068899]
ASTRONAUT += [0.646, -0.001228, 0.064355, 0.063346, 0.67, -0.019737, 0.069079, 0.053456]
ASTRONAUT += [1.95, 0.191586, 0.601, 0.055645, 0.030613, 0.071893, 0.633, 0.059299, 0.02982, 0.072816]
ASTRONAUT += [0.606, 0.036287, 0.036799, 0.06369, 0.599, -0.0163, 0.060162, 0.047502]
COFFEE = [1.731, 0.280834, 0.641, 0.045964, 0.068438, 0.113257, 0.64, -0.037247, 0.112591, 0.075508]
COFFEE += [0.614, -0.119696, 0.170815, 0.046097, 0.574, 0.132587, 0.042987, 0.188209]
COFFEE += [1.654, 0.247051, 0.606, 0.039017, 0.062048, 0.098714, 0.607, -0.03618, 0.10318, 0.068067]
COFFEE += [0.582, -0.085593, 0.13881, 0.051644, 0.561, 0.111336, 0.035609, 0.145074]

MODEL, RANGES = "brisque_allmodel.txt", "brisque_allrange.txt"
HEAD = "svm_type epsilon_svr\nkernel_type rbf\ngamma 0.05\nnr_class 2\ntotal_sv 4\nrho -30.5\nprobA 6.3\nSV\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A regression of four support vectors, one of which leaves out its zeros."""
    random = np.random.default_rng(5)
    rows = [f"{random.uniform(-1024, 1024):.6g}" for _ in range(4)]
    for n in range(3):
        rows[n] += "".join(f" {k}:{random.uniform(-1, 1):.6g}" for k in range(1, FEATURES + 1))
    rows[3] += " 2:0.25 36:-1"
    (tmp_path / MODEL).write_text(HEAD + "\n".join(rows) + "\n")
    ranges = "".join(f"{k} {-0.1 * k:g} {0.5 * k:g}\n" for k in range(1, FEATURES + 1))
    (tmp_path / RANGES).write_text("x\n-1 1\n" + ranges)
    return tmp_path


def slow_score(features: np.ndarray, folder: Path) -> float:
    """The sum over support vectors, number by number from the text of the files."""
    ranges = {
        int(k): (float(a), float(b)) for k, a, b in map(str.split, (folder / RANGES).read_text().split("\n")[2:-1])
    }
    total = 30.5
    for row in (folder / MODEL).read_text().split("SV\n", 1)[1].splitlines():
        coefficient, *parts = row.split()
        vector = {int(k): float(v) for k, v in (part.split(":") for part in parts)}
        distance = 0.0
        for k, (low, high) in ranges.items():
            scaled = -1 + 2 * (float(features[k - 1]) - low) / (high - low)
            distance += (scaled - vector.get(k, 0.0)) ** 2
        total += float(coefficient) * math.exp(-0.05 * distance)
    return total


@pytest.mark.parametrize(
    ("photo", "expected"), [("astronaut", ASTRONAUT), ("coffee", COFFEE)], ids=["even sides", "odd sides"]
)
def test_statistics_equal_pyiqa(photo: str, expected: list[float]) -> None:
    frame = data.astronaut()[:256, :320] if photo == "astronaut" else data.coffee()[:201, :305]
    found = frame_features(frame)
    shapes = [0, *range(2, 18, 4), 18, *range(20, 36, 4)]
    assert found[shapes] == pytest.approx(np.array(expected)[shapes], abs=0.0011)  # a step of the table of shapes
    rest = [k for k in range(FEATURES) if k not in shapes]
    assert found[rest] == pytest.approx(np.array(expected)[rest], abs=1.5e-4)


def test_the_regression_is_the_sum_over_support_vectors(folder: Path) -> None:
    regression = read_regression(folder / MODEL, folder / RANGES)
    for seed in range(3):
        features = np.random.default_rng(seed).uniform(-1, 3, FEATURES)
        assert regress(features, regression) == pytest.approx(slow_score(features, folder), rel=1e-12)


def test_the_entry_measures_with_both_files(folder: Path) -> None:
    frames = np.stack([data.astronaut()[:128, :160], data.coffee()[:128, :160]])
    found = measure(["brisque"], Clips(frames), folder)["brisque"]
    expected = [slow_score(frame_features(frame), folder) for frame in frames]
    assert found.per_frame == pytest.approx(expected)
    assert found.value == pytest.approx(np.mean(expected))


def test_what_has_no_statistics_has_a_reason(folder: Path) -> None:
    for frames, reason in (
        (np.full((1, 64, 64, 3), 90, np.uint8), "one colour"),
        (np.zeros((1, 9, 9, 3), np.uint8), "16"),
    ):
        assert reason in str(measure(["brisque"], Clips(frames), folder)["brisque"])


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (MODEL, "epsilon_svr", "c_svc", "c_svc with kernel rbf"),
        (MODEL, "total_sv 4", "total_sv 774", "4 support vectors, 774"),
        (MODEL, "36:-1", "37:-1", "feature 37"),
        (MODEL, "gamma 0.05", "gamma nan", "not finite"),
        (MODEL, "SV\n", "", "'SV' is not in list"),
        (RANGES, "x\n", "y\n", "begin with x"),
        (RANGES, "36 -3.6 18\n", "", "no range for feature 36"),
    ],
)
def test_other_files_are_refused(folder: Path, name: str, old: str, new: str, says: str) -> None:
    path = folder / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(NotMeasurableError, match=says):
        read_regression(folder / MODEL, folder / RANGES)
    frames = data.astronaut()[None, :64, :64]
    assert str(measure(["brisque"], Clips(frames), folder)["brisque"]).startswith("n/a: ")


def test_half_keeps_a_constant_and_rounds_up() -> None:
    assert half(np.full((33, 20), 7.0)) == pytest.approx(np.full((17, 10), 7.0))
