"""VBench background consistency: equality with transformers' CLIP and with a slow formula, wrong files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from limpid.metrics import Clips, clip_vision, measure
from limpid.metrics.clip_vision import MEAN, STD, Shape, background_consistency, clip_features, clip_pixels
from limpid.metrics.kinds import NotMeasurableError

TINY = Shape(side=64, patch=16, width=128, inner=96, layers=2, out=24)
NAME = "clip-vit-base-patch32.safetensors"


@pytest.fixture(scope="module")
def network():  # type: ignore[no-untyped-def]
    """transformers' image half of CLIP with random weights."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=TINY.width, intermediate_size=TINY.inner, num_hidden_layers=TINY.layers, num_attention_heads=2,
        image_size=TINY.side, patch_size=TINY.patch, projection_dim=TINY.out, initializer_range=0.3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return CLIPVisionModelWithProjection(config).eval()


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory: pytest.TempPathFactory) -> Path:  # type: ignore[no-untyped-def]
    place: Path = tmp_path_factory.mktemp("clip")
    save_file({name: t.contiguous() for name, t in network.state_dict().items()}, place / NAME)
    return place


def clip(frames: int = 5) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (frames, 70, 90, 3), np.uint8)


def test_features_equal_transformers(network, folder: Path) -> None:  # type: ignore[no-untyped-def]
    with torch.no_grad():
        expected = torch.nn.functional.normalize(network(clip_pixels(clip(), TINY.side)).image_embeds, dim=-1)
    assert torch.allclose(clip_features(clip(), folder / NAME, TINY), expected, atol=1e-5)


def test_frames_are_scaled_by_the_shorter_side_and_cut_in_the_middle() -> None:
    ramp = np.broadcast_to(np.arange(128, dtype=np.uint8)[None, None, :, None], (1, 64, 128, 3))
    found = clip_pixels(ramp, 64)
    assert found.shape == (1, 3, 64, 64)
    levels = found[0, 1, 7] * STD[1] * 255 + MEAN[1] * 255
    assert levels.tolist() == pytest.approx(list(range(32, 96)), abs=1e-3)
    assert clip_pixels(clip(1), 64).shape == (1, 3, 64, 64)


def test_consistency_is_the_formula() -> None:
    features = torch.nn.functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), dim=-1)
    expected = []
    for t in range(1, 6):
        cosines = [sum(float(a * b) for a, b in zip(features[t], features[s], strict=True)) for s in (t - 1, 0)]
        expected.append(sum(max(0.0, c) for c in cosines) / 2)
    assert background_consistency(features) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(NotMeasurableError, match="two frames"):
        background_consistency(features[:1])


def test_the_entry_measures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_vision, "VIT_B32", TINY)
    found = measure(["vbench-background"], Clips(clip()), folder)["vbench-background"]
    assert found.per_frame == pytest.approx(background_consistency(clip_features(clip(), folder / NAME, TINY)))
    still = measure(["vbench-background"], Clips(np.repeat(clip(1), 3, 0)), folder)["vbench-background"]
    assert still.value == pytest.approx(1)


def test_another_clip_than_b32_is_refused(folder: Path, tmp_path: Path) -> None:
    answer = measure(["vbench-background"], Clips(clip()), folder)["vbench-background"]
    assert answer.value is None
    assert "needed is" in str(answer)
    assert "605 MB, MIT), not found in" in str(
        measure(["vbench-background"], Clips(clip()), tmp_path)["vbench-background"]
    )
