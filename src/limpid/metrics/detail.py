"""Detail beyond the LR grid: how much there is, and how much of it moves with the picture (measures M2 and M3).

Detail is what the LR grid cannot carry: ``n = Y - U(D(Y))`` with D antialiased bicubic /4 and U bicubic x4 of luma.
Along the optical flow of the *input*, which the result cannot influence, it splits into a part that stays with the
scene (coherent) and a part that does not (flicker). Blur lowers the first, so it cannot win.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from limpid.flow import warp_image
from limpid.metrics.flows import PairFlows
from limpid.types import LUMA_BT601

_SCALE = 4


def luma(frame: np.ndarray) -> np.ndarray:
    """BT.601 luma 0..255, float32 ``h w``, of RGB 0..255 ``h w 3``."""
    weights = np.array(LUMA_BT601, np.float32)
    return np.asarray(np.clip(np.asarray(frame, np.float32), 0, 255) @ weights)


@cache
def _reduction(length: int) -> np.ndarray:
    """Antialiased bicubic (a = -0.5, as MATLAB's imresize) as a matrix ``length/4, length``; edges replicated."""
    matrix = np.zeros((length // _SCALE, length), np.float32)
    for row in range(length // _SCALE):
        center = (row + 0.5) * _SCALE - 0.5
        taps = np.arange(int(np.floor(center - 2 * _SCALE)), int(np.ceil(center + 2 * _SCALE)) + 1)
        d = np.abs((taps - center) / _SCALE)
        far = np.where(d < 2, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2, 0)
        weights = np.where(d <= 1, 1.5 * d**3 - 2.5 * d**2 + 1, far)
        np.add.at(matrix[row], np.clip(taps, 0, length - 1), weights / weights.sum())
    return matrix


def reduce_luma(y: np.ndarray) -> np.ndarray:
    """D, luma reduced by antialiased bicubic: ``h w`` -> ``h/4 w/4``."""
    return np.asarray(_reduction(y.shape[0]) @ y @ _reduction(y.shape[1]).T)


def enlarge_luma(y: np.ndarray, height: int, width: int) -> np.ndarray:
    """U, luma enlarged by bicubic to ``height width``."""
    return np.asarray(cv2.resize(y, (width, height), interpolation=cv2.INTER_CUBIC))


def detail(y: np.ndarray) -> np.ndarray:
    """Detail ``n = Y - U(D(Y))`` of luma: what the x4 smaller grid cannot carry; sides must be multiples of 4."""
    return np.asarray(y - enlarge_luma(reduce_luma(y), *y.shape))


def input_flows(lr: Sequence[np.ndarray]) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Flow from each frame to the next and where it is trusted, on the upscaled grid, from LR frames RGB uint8."""
    return PairFlows(lr, lambda frame: enlarge_luma(luma(frame), frame.shape[0] * _SCALE, frame.shape[1] * _SCALE))


@dataclass(frozen=True, kw_only=True, slots=True)
class DetailStability:
    """Stability of detail: root mean squares in levels of 255.

    ``coherence`` is the coherent share of the energy, 0 to 1.
    """

    coherent_rms: float
    incoherent_rms: float
    coherence: float


def detail_stability(frames: Sequence[np.ndarray], flows: Sequence[tuple[np.ndarray, np.ndarray]]) -> DetailStability:
    """Split the detail of restored frames (RGB, 0..255, ``h w 3``) along the flows of the input (`input_flows`).

    Pairs without a trusted pixel, as at a scene cut, are left out. Raises ValueError when no pair has any.
    """
    return stability_of(detail_energies(frames, flows))


def stability_of(pairs: Sequence[tuple[float, float] | None]) -> DetailStability:
    """Stability of detail from the energies of each pair of neighbours (`detail_energies`)."""
    energies = [pair for pair in pairs if pair is not None]
    if not energies:
        raise ValueError("no two neighbouring frames have a pixel whose flow can be trusted")
    c, i = (float(np.mean(values)) for values in zip(*energies, strict=True))
    return DetailStability(
        coherent_rms=float(np.sqrt(max(c, 0.0))),
        incoherent_rms=float(np.sqrt(max(i, 0.0))),
        coherence=c / max(c + i, 1e-9),
    )


def detail_energies(
    frames: Sequence[np.ndarray], flows: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[tuple[float, float] | None]:
    """Coherent and incoherent energy of detail (squared levels) for each pair of neighbours, in order.

    None for a pair without a trusted pixel. Frames RGB 0..255 ``h w 3``; one flow fewer than frames (ValueError).
    """
    pairs = itertools.pairwise(detail(luma(f)) for f in frames)
    return [_energies(first, second, *flow) for flow, (first, second) in zip(flows, pairs, strict=True)]


def _energies(first: np.ndarray, second: np.ndarray, flow: np.ndarray, mask: np.ndarray) -> tuple[float, float] | None:
    if not mask.any():
        return None
    # c = <n_i, n_{i+1} fetched along the flow>, and the rest of the mean energy of both
    x, y = first[mask], warp_image(second, flow)[mask]
    coherent = float((x * y).mean())
    return coherent, float((x * x).mean() + (y * y).mean()) / 2 - coherent
