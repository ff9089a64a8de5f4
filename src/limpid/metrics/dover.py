"""DOVER's scores of a clip: views are drawn several times, because the score depends on the draw, and averaged.

All is computed on the processor in float32. The weights are other people's, for non-commercial use only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from limpid.metrics.dover_views import (
    CLIPS,
    DoverFrames,
    FragmentGrid,
    Offsets,
    choose_frames,
    draw_offsets,
    fragments,
    normalised_view,
    resized_view,
)
from limpid.metrics.files import stamp
from limpid.metrics.kinds import NotMeasurableError
from limpid.metrics.perceptual import read_tensors
from limpid.networks.dover.dover import DOVER, DoverScores, fuse_scores, make_dover
from limpid.types import WeightsError

DRAWS = 3
"""Draws that a score is the mean of, with seeds 0, 1, 2."""
_GRID = FragmentGrid()


@dataclass(frozen=True, kw_only=True)
class DoverResult:
    """The mean over draws, and each draw's scores."""

    mean: DoverScores
    draws: tuple[DoverScores, ...]

    @property
    def spread(self) -> float:
        """The largest difference between the overall scores of two draws."""
        overall = [draw.overall for draw in self.draws]
        return max(overall) - min(overall)


def dover_scores(frames: np.ndarray, path: Path, *, draws: int = DRAWS, antialias: bool = False) -> DoverResult:
    """DOVER of RGB uint8 frames ``t h w 3`` by the weights in ``path``; draw n uses seed n.

    ``antialias``: whether the small whole frames are made with it; the authors' libraries did without, and scores of
    papers can be either. Raises NotMeasurableError where the file is not DOVER's, or frames are below 32 pixels.
    """
    rater = _Rater(_network(*stamp(path)), frames, antialias=antialias)
    found = tuple(rater.draw(seed) for seed in range(draws))
    mean = DoverScores(*(sum(values) / len(found) for values in zip(*found, strict=True)))
    return DoverResult(mean=mean, draws=found)


@dataclass(kw_only=False)
class _Rater:
    """Raw scores of a clip's views; a view that was drawn before is not rated again."""

    network: DOVER
    frames: np.ndarray
    antialias: bool = False
    rated: dict[bytes, float] = field(default_factory=dict)

    def draw(self, seed: int) -> DoverScores:
        chosen = choose_frames(len(self.frames), np.random.RandomState(seed))
        height, width = self.frames.shape[1:3]
        groups = _GRID.groups(len(chosen.technical))
        offsets = draw_offsets(height, width, groups, torch.Generator().manual_seed(seed), _GRID)
        return fuse_scores(self._technical(chosen, offsets), self._aesthetic(chosen))

    def _technical(self, chosen: DoverFrames, offsets: Offsets) -> float:
        key = b"t" + b"".join(values.tobytes() for values in (chosen.technical, *offsets))
        if key not in self.rated:
            view = normalised_view(fragments(self.frames[chosen.technical], offsets, _GRID))
            clips = view.chunk(CLIPS, dim=1)
            self.rated[key] = sum(_rate(self.network.technical, clip) for clip in clips) / CLIPS
        return self.rated[key]

    def _aesthetic(self, chosen: DoverFrames) -> float:
        key = b"a" + chosen.aesthetic.tobytes()
        if key not in self.rated:
            small = resized_view(self.frames[chosen.aesthetic], _GRID.view_px, antialias=self.antialias)
            self.rated[key] = _rate(self.network.aesthetic, normalised_view(small))
        return self.rated[key]


@torch.no_grad()
def _rate(branch: torch.nn.Module, view: torch.Tensor) -> float:
    """The mean score of a view ``3 t h w``."""
    return float(branch(view[None]).mean())


@lru_cache(maxsize=1)
def _network(path: Path, _: int, __: int) -> DOVER:
    try:
        return make_dover(read_tensors(path), str(path))
    except WeightsError as error:
        raise NotMeasurableError(str(error)) from error
