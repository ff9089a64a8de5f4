"""How much of a codec's block grid shows in a restored clip (blockiness).

Codecs code 8x8 pixels of the input at a time, and what they throw away ends at the borders of these blocks. Across each
border the reduced luma makes a *jump*: the step from one pixel to the next, less the mean of the two steps beside it,
averaged along the eight pixels of the block's side, where texture evens out and a border does not. Blockiness is the
mean size of the jumps that lie on the grid over that of equal jumps at all other phases, less 1. Both are of the same
picture, so blur and contrast, which change both, gain little, and a picture that knows of no grid has 0.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from limpid.metrics.detail import luma, reduce_luma

_SCALE = 4
_GRID_PX = 8
"""Side of a block, pixels of the coded picture."""
_LEAST_SIDE_PX = 4 * _GRID_PX


def blockiness(frames: Iterable[np.ndarray], scale: int = _SCALE) -> float:
    """Excess of jumps on the grid, 0 without a grid; 0.2 says that they are a fifth larger than elsewhere.

    Args:
        frames: RGB 0..255 ``h w 3``; the grid of the input starts at the top left corner.
        scale: how much larger than the coded picture, 4 or 1 (the coded picture itself).

    Raises:
        ValueError: another scale, no frames, or coded pictures below 32 pixels.
    """
    if scale not in (1, _SCALE):
        raise ValueError(f"blockiness is defined for results of scale 1 and {_SCALE}, not {scale}")
    by_phase = [_jumps_by_phase(luma(f) if scale == 1 else reduce_luma(luma(f))) for f in frames]
    if not by_phase:
        raise ValueError("blockiness of no frames is not defined")
    jumps = np.mean(by_phase, axis=0)
    elsewhere = (jumps.sum() - jumps[0, 0]) / (jumps.size - 1)
    return float(jumps[0, 0] / max(elsewhere, 1e-6) - 1)


def _jumps_by_phase(y: np.ndarray) -> np.ndarray:
    """Mean size of jumps in both directions, ``8 8``: across the border and along it, both from the grid."""
    if min(y.shape) < _LEAST_SIDE_PX:
        raise ValueError(f"a coded picture of {y.shape[1]}x{y.shape[0]} is too small: {_LEAST_SIDE_PX} or more a side")
    return np.asarray((_across_columns(y) + _across_columns(y.T)) / 2)


def _across_columns(y: np.ndarray) -> np.ndarray:
    steps = np.diff(y, axis=1)
    jumps = steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2  # column i: from pixel i + 1 to i + 2
    sums = np.cumsum(np.pad(jumps, ((1, 0), (0, 0))), axis=0)
    sides = np.abs(sums[_GRID_PX:] - sums[:-_GRID_PX]) / _GRID_PX
    return np.array(
        [
            [sides[along::_GRID_PX, (across - 2) % _GRID_PX :: _GRID_PX].mean() for along in range(_GRID_PX)]
            for across in range(_GRID_PX)
        ]
    )
