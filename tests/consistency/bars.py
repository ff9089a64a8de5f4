"""What a stable result must reach (measures M3 to M5), and the compositions of strategies that are held to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from limpid.consistency.combine import Combined
from limpid.consistency.propagation import LatentPropagation
from limpid.consistency.transition import LatentTransition, NoiseRescheduling
from limpid.method import Strategy
from limpid.metrics.detail import detail_stability, input_flows
from limpid.metrics.persistence import long_range
from limpid.metrics.seams import segment_seam, tile_jump

from .hallucination import SCALE, clip, to_arrays

STEPS = 4
propagation, rescheduling, transition = LatentPropagation(steps=(2, 3)), NoiseRescheduling(), LatentTransition()
SIDE_BY_SIDE: dict[str, Any] = {"window_overlap_frames": 0}
AS_LANES: dict[str, Any] = {"window_frames": None}


@dataclass(frozen=True)
class Composition:
    """``meets``: where windows meet, in frames after a multiple of ``every``."""

    strategy: Strategy
    changes: Mapping[str, Any]
    meets: int = 6
    every: int = 4


COMPOSITIONS = {
    "none": Composition(Strategy(), SIDE_BY_SIDE, meets=8, every=8),
    "overlap": Composition(Strategy(), {}),
    "propagation": Composition(propagation, {}),
    "rescheduling": Composition(rescheduling, {}),
    "transition": Composition(transition, AS_LANES),
    "rescheduling + transition": Composition(Combined(strategies=(rescheduling, transition)), AS_LANES),
    "rescheduling + propagation": Composition(Combined(strategies=(rescheduling, propagation)), {}),
    "all three": Composition(Combined(strategies=(rescheduling, transition, propagation)), AS_LANES),
}


@dataclass(frozen=True)
class Clip:
    """An input with what the measures need to know of it; ``kept`` is the correlation over 32 frames of bicubic."""

    lr: Tensor
    arrays: list[np.ndarray]
    flows: list[tuple[np.ndarray, np.ndarray]]
    coherence: float
    kept: float | None


@cache
def make_clip(frames: int, height: int, width: int, speed: int) -> Clip:
    lr = clip(frames, height, width, speed)
    bicubic = F.interpolate(lr, scale_factor=SCALE, mode="bicubic", align_corners=False).clamp(0, 1)
    arrays, enlarged = to_arrays(lr), to_arrays(bicubic)
    flows = input_flows(arrays)
    kept = long_range(enlarged, arrays).correlation[32]
    return Clip(lr, arrays, flows, detail_stability(enlarged, flows).coherence, kept)


def is_stable(frames: list[np.ndarray], given: Clip) -> bool:
    """M3: nearly as coherent as bicubic, and flicker at most half as strong as what stays."""
    found = detail_stability(frames, given.flows)
    return found.coherence >= given.coherence - 0.1 and found.incoherent_rms <= 0.5 * found.coherent_rms


def no_seam(frames: list[np.ndarray], given: Clip, borders: range) -> bool:
    """M4 in time."""
    found = segment_seam(frames, given.flows, borders)
    return found.ratio <= 1.5 and found.z <= 3


def no_jump(frames: list[np.ndarray], given: Clip, column: int) -> bool:
    """M4 in space."""
    found = tile_jump(frames, given.arrays, [column])
    return found.levels < 0.5 and found.z <= 4


def is_kept(frames: list[np.ndarray], given: Clip) -> bool:
    """M5."""
    found = long_range(frames, given.arrays).correlation[32]
    assert found is not None
    assert given.kept is not None
    return found >= 0.8 * given.kept


def passed(checks: Mapping[str, Callable[[], bool]]) -> set[str]:
    return {name for name, check in checks.items() if check()}
