"""Teachers: image networks whose frames a student learns from, by the files that `--method image` takes.

Real-ESRGAN's networks are given out in this form. The packages that run them (`ncnn`, `spandrel`) are only needed to
prepare clips with a teacher and for benchmarks.

A teacher that is shown frames a cleaner has been over makes less of their damage: what it is taken for is no longer
there. Its answer is still a function of the damaged frame, so it can be learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from limpid.priors.cleaned import Cleaning, changes_in_torch, load_cleaner, read_cleaner_config
from limpid.priors.image import ImagePrior
from limpid.priors.load.image import ImageWeights
from limpid.runtimes.probe import ImageNetworkFacts
from limpid.types import Placement


@dataclass(frozen=True, slots=True)
class Teacher:
    """Enlarges frames one by one; it can be sent to other processes, and the network is read where it is first used."""

    weights: ImageWeights
    facts: ImageNetworkFacts
    cleaner: Path | None = None
    """A file of `limpid.priors.cleaned`, whose network sees the frames first."""

    @staticmethod
    def of(model: str | Path, cleaner: str | Path | None = None) -> Teacher:
        """By the names of the files. Raises WeightsError if they cannot be used, SettingsError without a package."""
        weights = ImageWeights.of(model)
        if cleaner is not None:
            read_cleaner_config(Path(cleaner))
        return Teacher(weights, weights.facts(), None if cleaner is None else Path(cleaner))

    @property
    def name(self) -> str:
        return self.weights.path.stem

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """RGB uint8 ``t h w 3`` -> ``t s*h s*w 3``, with the network's own scale s."""
        prior = _prior(self)
        lr = torch.from_numpy(frames.astype(np.float32).transpose(0, 3, 1, 2) / 255)
        if self.cleaner is not None:
            lr = torch.stack(list(_cleaning(self.cleaner)(lr)))
        large = np.concatenate([prior.enlarged(frame[None]).numpy() for frame in lr])
        return np.asarray(np.rint(large.transpose(0, 2, 3, 1).clip(0, 1) * 255), np.uint8)


@cache
def _prior(teacher: Teacher) -> ImagePrior:
    placement = Placement(device=torch.device("cpu"), dtype=torch.float32, runtime=teacher.weights.runtime)
    return teacher.weights.load(teacher.facts, placement)


@cache
def _cleaning(path: Path) -> Cleaning:
    return Cleaning(changes=changes_in_torch(load_cleaner(path)), share=1.0)
