"""Seams where the work was cut: in time at the borders of segments, in space where tiles meet (measure M4).

Both compare the known places of the cuts with all other places of the same clip, so that neither a difficult clip nor
a blurry result changes the scale. A hand-over that is spread over many frames hides from the first of them; the
measure of long ranges (`limpid.metrics.persistence`) sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from limpid.metrics.detail import detail_energies, enlarge_luma, luma

REACH = 4
"""Pixels that are averaged on each side of a possible tile seam."""
MARGIN = 8
"""Pixels at the edge of the picture, and around each known seam, that do not serve for comparison."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentSeam:
    """Seam in time: how much less detail is kept across the borders of segments than between other neighbours.

    ``ratio``: lost share of detail at the borders over the median elsewhere (1 = no seam); ``z``: the difference of
    the means in standard deviations of the other pairs.
    """

    ratio: float
    z: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TileJump:
    """Seam in space: brightness step where tiles meet.

    ``levels``: in levels of 255; ``z``: how far that is out of what other places show, in their standard deviations.
    """

    levels: float
    z: float


def segment_seam(
    frames: Sequence[np.ndarray], flows: Sequence[tuple[np.ndarray, np.ndarray]], borders: Iterable[int]
) -> SegmentSeam:
    """Seam between segments, for restored frames (RGB, 0..255, ``h w 3``) and the flows of the input (`input_flows`).

    ``borders``: numbers of the frames that start a new segment. Pairs without a trusted pixel, as at a scene cut, are
    left out. Raises ValueError for a border outside the clip, and when no pair is left at the borders or elsewhere.
    """
    _inside(borders := list(borders), 1, len(frames) - 1, "segment border")
    return seam_of(detail_energies(frames, flows), borders)


def seam_of(pairs: Sequence[tuple[float, float] | None], borders: Iterable[int]) -> SegmentSeam:
    """Seam between segments from the energies of each pair of neighbours (`limpid.metrics.detail.detail_energies`)."""
    starts = _inside(borders, 1, len(pairs), "segment border")
    lost: dict[bool, list[float]] = {True: [], False: []}
    for number, pair in enumerate(pairs, start=1):
        if pair is not None:
            coherent, incoherent = pair
            lost[number in starts].append(incoherent / max(coherent + incoherent, 1e-9))
    if not lost[True] or not lost[False]:
        raise ValueError("a segment seam needs pairs with trusted flow at a border and elsewhere")
    here, elsewhere = np.array(lost[True]), np.array(lost[False])
    ratio = float(here.mean() / max(float(np.median(elsewhere)), 1e-9))
    return SegmentSeam(ratio=ratio, z=_deviation(here, elsewhere))


def tile_jump(
    frames: Iterable[np.ndarray],
    lr: Iterable[np.ndarray],
    seams: Iterable[int],
    *,
    across: Literal["columns", "rows"] = "columns",
) -> TileJump:
    """Step at known tile seams of the mean over time of (frame - enlarged LR frame), median along the seam.

    ``frames``: restored, RGB 0..255, ``4h 4w 3``; ``lr``: ``h w 3``; ``seams``: the first column (or row) of the tile
    behind each seam, in restored pixels. Raises ValueError for a seam within 8 pixels of the edge or outside the
    picture, and when no place is left to compare with.
    """
    added = _added_brightness(frames, lr)
    added = added if across == "columns" else added.T
    width = added.shape[1]
    places = range(MARGIN, width - MARGIN)
    known = _inside(seams, MARGIN, width - MARGIN - 1, "tile seam")
    jumps = np.array([_step(added, x) for x in places])
    far = [min(abs(x - seam) for seam in known) > MARGIN for x in places]
    if not any(far):
        raise ValueError("no place of the picture is far enough from all tile seams to compare with")
    here = jumps[[x - MARGIN for x in known]]
    return TileJump(levels=float(here.mean()), z=_deviation(here, jumps[far]))


def _inside(numbers: Iterable[int], least: int, most: int, noun: str) -> list[int]:
    known = sorted(set(numbers))
    if not known:
        raise ValueError(f"no {noun} is given")
    if known[0] < least or known[-1] > most:
        raise ValueError(f"every {noun} must lie in {least} to {most}, not {known}")
    return known


def _deviation(here: np.ndarray, elsewhere: np.ndarray) -> float:
    return float((here.mean() - elsewhere.mean()) / (elsewhere.std() + 1e-9))


def _added_brightness(frames: Iterable[np.ndarray], lr: Iterable[np.ndarray]) -> np.ndarray:
    """Mean over time of what was added to the enlarged input: luma ``h w``."""
    total: np.ndarray | None = None
    count = 0
    for frame, small in zip(frames, lr, strict=True):
        y = luma(frame)
        added = y - enlarge_luma(luma(small), *y.shape)
        total = added.astype(np.float64) if total is None else total + added
        count += 1
    if total is None:
        raise ValueError("tile seams need at least one frame")
    return np.asarray(total / count)


def _step(picture: np.ndarray, x: int) -> float:
    """Size of the step in front of column ``x``: the median over rows, so that an edge of the scene does not count."""
    behind, before = picture[:, x : x + REACH].mean(1), picture[:, x - REACH : x].mean(1)
    return float(abs(np.median(behind - before)))
