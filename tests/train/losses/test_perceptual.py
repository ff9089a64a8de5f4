"""LPIPS of clips with seeded weights, its stand-in, and that it never takes its place without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from limpid.metrics.catalogue import METRICS
from limpid.metrics.perceptual import ALEXNET, lpips_distance
from limpid.train.losses.perceptual import FILES, LPIPS, MultiScaleGradient, find_perceptual
from limpid.types import WeightsError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("assets")
    random = torch.Generator().manual_seed(1)
    backbone: dict[str, Tensor] = {}
    for n, (width, out, k, _, _) in ALEXNET.items():
        backbone[f"features.{n}.weight"] = torch.randn(out, width, k, k, generator=random) / (width * k * k) ** 0.5
        backbone[f"features.{n}.bias"] = torch.zeros(out)
    heads = {
        f"lin{i}.model.1.weight": torch.rand(1, a[1], 1, 1, generator=random) for i, a in enumerate(ALEXNET.values())
    }
    save_file(backbone, place / Path(FILES[0]).with_suffix(".safetensors"))
    save_file(heads, place / Path(FILES[1]).with_suffix(".safetensors"))
    return place


def clips(seed: int) -> Tensor:
    return torch.rand(2, 2, 3, 33, 35, generator=torch.Generator().manual_seed(seed))


def test_lpips_is_the_mean_of_the_metric_over_frames(folder: Path) -> None:
    notes: list[str] = []
    loss = find_perceptual(folder, CPU, notes)
    assert isinstance(loss, LPIPS)
    assert notes == []
    made, truth = clips(1), clips(2)
    frames = lpips_distance(made.flatten(0, 1), truth.flatten(0, 1), dict(loss.weights))
    assert torch.allclose(loss(made, truth), frames.reshape(2, 2).mean(1), rtol=1e-4)
    assert loss(truth, truth).abs().max() == 0
    with pytest.raises(ValueError, match="31 px"):
        loss(made[..., :30], truth[..., :30])


def test_gradients_are_finite_also_where_features_are_zero(folder: Path) -> None:
    loss = find_perceptual(folder, CPU, [])
    for made in (clips(1), torch.zeros(1, 1, 3, 33, 33), torch.full((1, 1, 3, 33, 33), 0.485)):
        made = made.clone().requires_grad_()
        loss(made, torch.zeros_like(made)).sum().backward()
        assert made.grad is not None
        assert bool(made.grad.isfinite().all())


def test_the_stand_in_is_said(tmp_path: Path) -> None:
    notes: list[str] = []
    assert isinstance(find_perceptual(tmp_path, CPU, notes), MultiScaleGradient)
    assert len(notes) == 1
    assert FILES[0] in notes[0] and str(tmp_path) in notes[0] and "multi-scale gradient" in notes[0]


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    for name in FILES:
        save_file({"x": torch.zeros(1)}, (tmp_path / name).with_suffix(".safetensors"))
    with pytest.raises(WeightsError, match=r"has no features\.0\.weight"):
        find_perceptual(tmp_path, CPU, [])


def test_the_files_are_those_of_the_metric() -> None:
    licence = METRICS["lpips"].licence
    assert all(name in licence for name in FILES)
