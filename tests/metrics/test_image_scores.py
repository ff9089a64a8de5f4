"""IS and FID: equal to torchmetrics for the same features, known answers, and what is missing is said."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from limpid.metrics import image_scores
from limpid.metrics.image_scores import (
    INCEPTION_FILE,
    frechet_distance,
    image_features,
    inception,
    inception_score,
)
from limpid.metrics.kinds import NotMeasurableError


class MeanColours(nn.Module):
    """Stands for Inception in torchmetrics: some statistics of a picture."""

    num_features = 6

    def forward(self, pictures: Tensor) -> Tensor:
        x = pictures.double() / 255
        return torch.cat([x.mean((2, 3)), x.std((2, 3))], 1)


def pictures(count: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    flat = torch.rand(count, 3, 1, 1, generator=random)
    return ((flat + 0.3 * torch.rand(count, 3, 8, 8, generator=random)).clamp(0, 1) * 255).to(torch.uint8)


def test_fid_equals_torchmetrics() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    theirs = FrechetInceptionDistance(feature=MeanColours(), normalize=False).set_dtype(torch.float64)
    ours, real = pictures(60, 0), pictures(50, 1)
    theirs.update(real, real=True)
    theirs.update(ours, real=False)
    found = frechet_distance(*(MeanColours()(x).numpy() for x in (ours, real)))
    assert found == pytest.approx(float(theirs.compute()), rel=1e-6, abs=1e-9)
    assert frechet_distance(*[MeanColours()(ours).numpy()] * 2) == pytest.approx(0, abs=1e-9)


def test_is_of_known_answers() -> None:
    """All pictures alike: 1. Each surely of a class of its own, evenly: the number of classes."""
    assert inception_score(np.zeros((40, 5))) == pytest.approx(1)
    sure = 1000.0 * np.eye(4)[np.arange(40) % 4]
    assert inception_score(sure, splits=1) == pytest.approx(4)
    assert inception_score(sure, splits=10) == pytest.approx(4), "each part of four has all four classes"
    assert inception_score(sure[:3]) == pytest.approx(3), "with few pictures there is one part"


def test_is_equals_torchmetrics() -> None:
    from torchmetrics.image.inception import InceptionScore

    class Logits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 5 * MeanColours()(x)

    theirs = InceptionScore(feature=Logits(), splits=1)
    theirs.update(pictures(40, 2))
    found = inception_score(Logits()(pictures(40, 2)).numpy(), splits=1)
    assert found == pytest.approx(float(theirs.compute()[0]), rel=1e-5)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotMeasurableError, match=r"needs weights-inception.*Apache-2\.0.*not found in"):
        inception(tmp_path)
    torch.save({"a": torch.zeros(1)}, tmp_path / INCEPTION_FILE.name)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(NotMeasurableError, match="pip install torch-fidelity"):
        inception(tmp_path)


@pytest.fixture
def fidelity(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The package as it is called, with another network."""
    seen: dict[str, Any] = {}

    class FeatureExtractorInceptionV3(nn.Module):
        def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: str) -> None:
            super().__init__()
            seen.update(name=name, layers=features_list, tensors=torch.load(feature_extractor_weights_path))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            assert x.dtype == torch.uint8 and x.ndim == 4
            return MeanColours()(x), x.float().mean((2, 3))

    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = FeatureExtractorInceptionV3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    image_scores._network.cache_clear()
    return seen


def test_the_package_is_given_tensors_that_were_read_before(fidelity: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.ones(2)}, tmp_path / INCEPTION_FILE.name)
    look = inception(tmp_path)
    assert fidelity["layers"] == ["2048", "logits_unbiased"] and list(fidelity["tensors"]) == ["fc.weight"]
    found = image_features([np.full((8, 8, 3), level, np.uint8) for level in (0, 255)], look)
    assert found.features.shape == (2, 6) and found.logits[1].tolist() == [255.0] * 3
    with pytest.raises(NotMeasurableError, match="at least two pictures, there are 1"):
        image_features([np.zeros((8, 8, 3), np.uint8)], look)
    (tmp_path / INCEPTION_FILE.name).write_bytes(b"no weights")
    with pytest.raises(NotMeasurableError):
        inception(tmp_path)
