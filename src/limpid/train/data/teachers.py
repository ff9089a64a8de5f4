"""Teachers: image networks whose frames a student learns from, by the files that `--method image` takes.

Real-ESRGAN's networks are given out in this form. The packages that run them (`ncnn`, `spandrel`) are only needed to
prepare clips with a teacher and for benchmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from limpid.priors.image import ImagePrior
from limpid.priors.load.image import ImageWeights
from limpid.runtimes.probe import ImageNetworkFacts
from limpid.types import Placement


@dataclass(frozen=True, slots=True)
class Teacher:
    """Enlarges frames one by one; it can be sent to other processes, and the network is read where it is first used."""

    weights: ImageWeights
    facts: ImageNetworkFacts

    @staticmethod
    def of(model: str | Path) -> Teacher:
        """By the name of its file. Raises WeightsError if it cannot be used, SettingsError without its package."""
        weights = ImageWeights.of(model)
        return Teacher(weights, weights.facts())

    @property
    def name(self) -> str:
        return self.weights.path.stem

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """RGB uint8 ``t h w 3`` -> ``t s*h s*w 3``, with the network's own scale s."""
        prior = _prior(self)
        lr = torch.from_numpy(frames.astype(np.float32).transpose(0, 3, 1, 2) / 255)
        large = np.concatenate([prior.enlarged(frame[None]).numpy() for frame in lr])
        return np.asarray(np.rint(large.transpose(0, 2, 3, 1).clip(0, 1) * 255), np.uint8)


@cache
def _prior(teacher: Teacher) -> ImagePrior:
    placement = Placement(device=torch.device("cpu"), dtype=torch.float32, runtime=teacher.weights.runtime)
    return teacher.weights.load(teacher.facts, placement)
