"""Inception Score (Salimans et al. 2016) and Frechet Inception Distance (Heusel et al. 2017) of sets of pictures.

The network is the Inception of the TensorFlow release that both are defined with, as the package torch-fidelity has it;
its weights are a local file. The package would unpickle that file, so it is given one that Limpid has read before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limpid.metrics.files import MetricFile, named, place, stamp
from limpid.metrics.kinds import NotMeasurableError
from limpid.metrics.perceptual import read_tensors

INCEPTION_FILE = MetricFile("weights-inception-2015-12-05-6726825d.pth", "91 MB", "Apache-2.0")
IS_SPLITS = 10
_LAYERS = ["2048", "logits_unbiased"]
_LEAST_PICTURES = 2
Look = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""A picture RGB uint8 ``h w 3`` -> its features ``2048`` and its logits ``1008``."""


@dataclass(frozen=True, kw_only=True)
class ImageFeatures:
    """What Inception sees in a set of pictures: features ``n c`` and logits ``n k``, float64."""

    features: np.ndarray
    logits: np.ndarray


def inception(folder: Path) -> Look:
    """The network from a folder of metrics' weights. Raises NotMeasurableError with what is missing."""
    path = place(folder, INCEPTION_FILE)
    if not path.is_file():
        raise NotMeasurableError(f"needs {named([INCEPTION_FILE])} of torch-fidelity, not found in {folder}")
    network = _network(*stamp(path))

    @torch.no_grad()
    def look(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
        features, logits = network(pixels)
        return features[0].double().numpy(), logits[0].double().numpy()

    return look


@lru_cache(maxsize=1)
def _network(path: Path, _: int, __: int) -> Any:
    try:
        make = import_module("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    except Exception as error:
        raise NotMeasurableError(
            f"needs the package torch-fidelity (pip install torch-fidelity torchvision): {error}"
        ) from error
    tensors = read_tensors(path)
    with tempfile.TemporaryDirectory(prefix="limpid-inception-") as folder:
        plain = Path(folder) / "tensors.pth"
        torch.save(tensors, plain)
        try:
            network = make("inception-v3-compat", _LAYERS, str(plain))
        except Exception as error:
            raise NotMeasurableError(f"torch-fidelity cannot load {path}: {type(error).__name__}: {error}") from error
    return network.eval()


def image_features(pictures: Iterable[np.ndarray], look: Look) -> ImageFeatures:
    """Features of pictures RGB uint8 ``h w 3``, one at a time. Raises NotMeasurableError below two."""
    found = [look(picture) for picture in pictures]
    if len(found) < _LEAST_PICTURES:
        raise NotMeasurableError(f"needs at least two pictures, there are {len(found)}")
    features, logits = (np.stack(values).astype(np.float64) for values in zip(*found, strict=True))
    return ImageFeatures(features=features, logits=logits)


def inception_score(logits: np.ndarray, splits: int = IS_SPLITS) -> float:
    """IS of logits ``n k``: exp of the mean KL divergence from the mean, the mean over ``splits`` parts in order."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    parts = np.array_split(p, min(splits, len(p) // _LEAST_PICTURES))
    return float(np.mean([_exp_divergence(part) for part in parts]))


def _exp_divergence(p: np.ndarray) -> float:
    marginal = p.mean(0, keepdims=True)
    terms = p * (np.log(np.maximum(p, 1e-300)) - np.log(np.maximum(marginal, 1e-300)))
    return float(np.exp(terms.sum(1).mean()))


def frechet_distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """FID of features ``n c`` and ``m c``: ``|mu1 - mu2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2)``, covariances unbiased."""
    apart = ours.mean(0) - theirs.mean(0)
    first, second = (np.atleast_2d(np.cov(values, rowvar=False)) for values in (ours, theirs))
    # the trace of a root is the sum of roots of eigenvalues, which are not negative but for rounding
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    return float(apart @ apart + np.trace(first) + np.trace(second) - 2 * roots)
