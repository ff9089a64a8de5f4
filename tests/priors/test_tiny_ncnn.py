"""`tiny` in ncnn against PyTorch: the same numbers, the same bits for any chunk, and what cuts in space may change."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ncnn_here import needs_ncnn, needs_vulkan

from limpid.api import restore
from limpid.priors.tiny import TinyConfig, TinyNetwork, TinyPrior, save_tiny
from limpid.priors.tiny_ncnn import placed_tiny
from limpid.types import Placement, Step

SHAPES = [TinyConfig(channels=16, blocks=3, shifts=(0, 2)), TinyConfig(channels=32, blocks=2, shifts=())]
STEP = Step(index=0, count=1, t=0.0, alpha=1.0, sigma=6.0, alpha_next=1.0, sigma_next=0.0)


def network(config: TinyConfig) -> TinyNetwork:
    torch.manual_seed(0)
    made = TinyNetwork(config).requires_grad_(False)
    made.data_scale.uniform_(0.5, 1.5)
    made.spread_scale.uniform_(0.5, 1.5)
    return made


def both(config: TinyConfig, **where: Any) -> tuple[TinyPrior, TinyPrior]:
    placement = Placement(device=torch.device("cpu"), dtype=torch.float32)
    return (
        placed_tiny(network(config), placement),
        placed_tiny(network(config), replace(placement, runtime="ncnn", **where)),
    )


def restored(prior: TinyPrior, lr: torch.Tensor, sigma: float) -> torch.Tensor:
    torch.manual_seed(1)
    height, width = prior.latent_size(*lr.shape[-2:])
    z = sigma * torch.randn(1, prior.latent_channels, len(lr), height, width)
    condition = prior.condition(lr)
    return prior.decode(prior.denoise(z, replace(STEP, sigma=sigma), condition).x0, condition)


@needs_ncnn
@pytest.mark.parametrize("config", SHAPES)
@pytest.mark.parametrize(("frames", "sigma"), [(1, 80.0), (4, 6.0), (2, 0.5)])
def test_it_computes_what_pytorch_computes(config: TinyConfig, frames: int, sigma: float) -> None:
    lr = torch.rand(frames, 3, 26, 31)
    in_torch, in_ncnn = both(config)
    torch.testing.assert_close(restored(in_ncnn, lr, sigma), restored(in_torch, lr, sigma), atol=1e-4, rtol=0)


@needs_vulkan
@pytest.mark.parametrize(("half", "atol"), [(False, 1e-3), (True, 2e-2)])
def test_it_computes_the_same_on_a_vulkan_device(half: bool, atol: float) -> None:
    lr = torch.rand(3, 3, 26, 31)
    in_torch, _ = both(SHAPES[0])
    placement = Placement(device=torch.device("cpu"), dtype=torch.float16 if half else torch.float32, runtime="ncnn")
    on_vulkan = placed_tiny(network(SHAPES[0]), replace(placement, vulkan=0))
    torch.testing.assert_close(restored(on_vulkan, lr, 6.0), restored(in_torch, lr, 6.0), atol=atol, rtol=0)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of a small network, whose reach is small too."""
    path = tmp_path / "small.safetensors"
    save_tiny(network(TinyConfig(channels=32, blocks=3, shifts=(1,))), path)
    return path


def clip(weights: Path, frames: np.ndarray, **options: Any) -> np.ndarray:
    settings = {"weights": str(weights), "runtime": "ncnn", "device": "cpu", "threads": 2, "color": "none", **options}
    return np.stack(list(restore(iter(frames), fps=Fraction(25), method="tiny", **settings)))


@needs_ncnn
def test_the_same_bits_again_and_for_any_chunk_and_nearly_the_same_for_any_tile(weights: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (7, 48, 72, 3), np.uint8)
    once = clip(weights, frames)
    assert np.array_equal(once, clip(weights, frames))
    assert np.array_equal(once, clip(weights, frames, segment_frames=2))
    assert np.array_equal(once, clip(weights, frames, threads=1))
    tiled = clip(weights, frames, tile_px=24)
    assert np.abs(once.astype(int) - tiled).max() <= 1
    in_torch = clip(weights, frames, runtime="torch", dtype="float32")
    assert np.abs(once.astype(int) - in_torch).max() <= 1
