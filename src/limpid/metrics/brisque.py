"""BRISQUE (Mittal, Moorthy and Bovik 2012): support vector regression of 36 statistics of a picture's luma.

The regression is LIVE's, read from the two text files of their release in the formats of LIBSVM: ``allmodel`` (support
vectors) and ``allrange`` (what ``svm-scale`` wrote). Luma, borders and reduction are those of their MATLAB program:
rounded grey, zeros beyond the border, half the size by antialiased bicubic. LIVE's program rounds the statistics to six
decimals on their way to LIBSVM; here they are not rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from limpid.metrics.files import stamp
from limpid.metrics.kinds import NotMeasurableError
from limpid.metrics.natural import fit_asymmetric, fit_symmetric, half, mean_of_sides, normalised, width_of

FEATURES = 36
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (-1, 1))
GREY = (0.298936021293776, 0.587043074451121, 0.114020904255103)
"""MATLAB's rgb2gray: the first row of the inverse of its YIQ matrix."""
_SMALLEST = 16  # pixels; less is smaller than the window of 7 at half the size

T = TypeVar("T")


class Regression(NamedTuple):
    """LIBSVM's epsilon-SVR with an RBF kernel, and the line that brings each feature to the range it was trained in.

    ``coefficients`` ``n``, ``vectors`` ``n 36``; features from ``low`` to ``high`` ``36`` go to ``least`` to ``most``.
    """

    gamma: float
    rho: float
    coefficients: np.ndarray
    vectors: np.ndarray
    low: np.ndarray
    high: np.ndarray
    least: float
    most: float


def frames_brisque(frames: np.ndarray, model: Path, ranges: Path) -> list[float]:
    """BRISQUE of each frame, RGB uint8 ``t h w 3``; about 0 to 100, lower is better.

    Raises NotMeasurableError for files that are not of LIBSVM, ValueError for frames below 16 pixels a side or of one
    colour.
    """
    regression = _regression(*stamp(model), *stamp(ranges))
    return [regress(frame_features(frame), regression) for frame in frames]


def frame_features(frame: np.ndarray) -> np.ndarray:
    """The 36 statistics: 18 at full size, 18 at half. RGB 0..255 ``h w 3``."""
    if min(frame.shape[:2]) < _SMALLEST:
        raise ValueError(f"BRISQUE needs {_SMALLEST} pixels a side, not {frame.shape[1]}x{frame.shape[0]}")
    y = np.rint(frame @ np.array(GREY))
    features = np.array([*_scale(y), *_scale(half(y))])
    if not np.isfinite(features).all():
        raise ValueError("BRISQUE has no statistics of a picture of one colour")
    return features


def _scale(y: np.ndarray) -> Iterator[float]:
    # MSCN coefficients, then those of products with four neighbours
    normal = normalised(y, _window(), cv2.BORDER_CONSTANT)
    shape, deviation = fit_symmetric(normal)
    yield from (shape, deviation**2)
    for shift in _NEIGHBOURS:
        shape, left, right = fit_asymmetric(normal * np.roll(normal, shift, (0, 1)))
        yield from (shape, mean_of_sides(shape, width_of(shape, left), width_of(shape, right)), left**2, right**2)


@cache
def _window() -> np.ndarray:
    """The window of the local mean: Gaussian of 7x7, sigma 7/6."""
    line = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    return np.asarray(np.outer(line, line) / line.sum() ** 2)


def regress(features: np.ndarray, r: Regression) -> float:
    """The regression: sum over support vectors of coefficient x exp(-gamma |scaled features - vector|^2), less rho."""
    scaled = r.least + (r.most - r.least) * (features - r.low) / (r.high - r.low)
    return float(np.exp(-r.gamma * ((r.vectors - scaled) ** 2).sum(1)) @ r.coefficients - r.rho)


# --------------------------------------------------------------------------------------------- files


@lru_cache(maxsize=1)
def _regression(model: Path, _: int, __: int, ranges: Path, ___: int, ____: int) -> Regression:
    return read_regression(model, ranges)


def read_regression(model: Path, ranges: Path) -> Regression:
    """The regression of LIVE's release, from both files of LIBSVM.

    Raises NotMeasurableError that says which file is not what it should be.
    """
    head, coefficients, vectors = _checked(model, _read_model)
    least, most, low, high = _checked(ranges, _read_ranges)
    gamma, rho = float(head["gamma"]), float(head["rho"].split()[0])
    found = Regression(gamma, rho, coefficients, vectors, low, high, least, most)
    if not all(np.isfinite(part).all() for part in found) or not (high > low).all():
        raise NotMeasurableError(f"{model} or {ranges} has numbers that are not finite, or ranges without width")
    return found


def _checked(path: Path, read: Callable[[list[str]], T]) -> T:
    try:
        return read(path.read_text(encoding="ascii").splitlines())
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise NotMeasurableError(f"{path} is not the file of LIBSVM that BRISQUE needs: {error}") from error


def _read_model(lines: list[str]) -> tuple[dict[str, str], np.ndarray, np.ndarray]:
    """Head, coefficients and vectors of ``allmodel``.

    It has ``key value`` up to ``SV``, then per vector its coefficient and ``number:value``; what is not there is zero.
    """
    start = lines.index("SV")
    head = dict(line.split(maxsplit=1) for line in lines[:start])
    if (head["svm_type"], head["kernel_type"]) not in (("epsilon_svr", "rbf"), ("nu_svr", "rbf")):
        raise ValueError(f"it holds {head['svm_type']} with kernel {head['kernel_type']}, not a regression with rbf")
    rows = [line.split() for line in lines[start + 1 :] if line.strip()]
    if len(rows) != int(head["total_sv"]):
        raise ValueError(f"{len(rows)} support vectors, {head['total_sv']} are announced")
    vectors = np.zeros((len(rows), FEATURES))
    for vector, row in zip(vectors, rows, strict=True):
        for number, value in (part.split(":") for part in row[1:]):
            vector[_place(number)] = float(value)
    return head, np.array([float(row[0]) for row in rows]), vectors


def _read_ranges(lines: list[str]) -> tuple[float, float, np.ndarray, np.ndarray]:
    """The ranges of features in ``allrange``.

    It has ``x``, then least and most after scaling, then per feature its number and its least and most before.
    """
    if lines[0].strip() != "x":
        raise ValueError("it does not begin with x")
    least, most = (float(word) for word in lines[1].split())
    low, high = np.full(FEATURES, np.nan), np.full(FEATURES, np.nan)
    for number, a, b in (line.split() for line in lines[2:] if line.strip()):
        low[_place(number)], high[_place(number)] = float(a), float(b)
    if np.isnan(low).any():
        raise ValueError(f"it has no range for feature {int(np.isnan(low).argmax()) + 1} of {FEATURES}")
    return least, most, low, high


def _place(number: str) -> int:
    if not 1 <= int(number) <= FEATURES:
        raise ValueError(f"feature {number}, there are 1 to {FEATURES}")
    return int(number) - 1
