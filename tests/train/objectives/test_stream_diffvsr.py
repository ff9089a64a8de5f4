"""Stream-DiffVSR's stages: what learns in each, what a frame is told in training, a preview that runs as it will."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from limpid.consistency.previous_frame import stretched_warp
from limpid.convert.random_weights import make_random_weights
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.stream_diffvsr import StreamLearner, StreamTraining, stream_layer_kind
from limpid.train.recipes import find_recipe
from limpid.train.stage import Start
from limpid.train.starts.random import random_converted
from limpid.types import SettingsError, WeightsError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_converted("stream-diffvsr", tmp_path_factory.mktemp("start"))


@pytest.fixture
def batch() -> ClipBatch:
    """Two clips of three frames; motion of a pixel to the left is known."""
    hr = torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    flow = torch.zeros(2, 2, 2, 64, 64)
    flow[:, :, 0] = 1.0
    return ClipBatch(
        numbers=(0, 1),
        hr=hr,
        lr=hr[..., ::4, ::4],
        captions=("", ""),
        keys=("", ""),
        flow_forward=-flow,
        flow_backward=flow,
    )


def learner_of(part: str, folder: Path) -> StreamLearner:
    index = ("unet", "vae", "controlnet").index(part)
    stage = find_recipe("stream-diffvsr/all").stages[index]
    objective = StreamTraining(part=part, steps=2)  # type: ignore[arg-type]
    return objective.learner(Start(device=torch.device("cpu"), seed=0, weights=folder), stage)


def test_frames_are_told_the_true_frame_before_along_the_motion_that_is_known(folder: Path, batch: ClipBatch) -> None:
    learner = learner_of("controlnet", folder)
    told = learner.previous(batch)
    assert told.shape == (2, 3, 2, 64, 64)
    assert batch.flow_backward is not None
    wanted = stretched_warp(batch.hr[:, 1] * 2 - 1, batch.flow_backward[:, 1])
    torch.testing.assert_close(told[:, :, 1], wanted)


@pytest.mark.parametrize("part", ["unet", "vae", "controlnet"])
def test_only_that_network_has_gradients_and_clips_count_alike(part: str, folder: Path, batch: ClipBatch) -> None:
    learner = learner_of(part, folder)
    terms = learner.losses("model", batch, ClipRandom(0, batch.numbers))
    sum(terms.values(), torch.zeros(())).backward()
    for name, network in learner.networks.items():
        assert any(p.grad is not None for p in network.parameters()) == (name == part)
    halves = [learner.losses("model", _one(batch, n), ClipRandom(0, (n,))) for n in (0, 1)]
    for name, term in terms.items():
        torch.testing.assert_close(term, (halves[0][name] + halves[1][name]) / 2, rtol=1e-4, atol=1e-5)


def _one(batch: ClipBatch, number: int) -> ClipBatch:
    part = slice(number, number + 1)
    assert batch.flow_backward is not None
    return ClipBatch(
        numbers=(number,),
        hr=batch.hr[part],
        lr=batch.lr[part],
        captions=("",),
        keys=("",),
        flow_backward=batch.flow_backward[part],
    )


@torch.no_grad()
def test_a_preview_has_all_frames(folder: Path, batch: ClipBatch) -> None:
    made = learner_of("vae", folder).preview(batch, ClipRandom(0, batch.numbers))
    assert made.shape == batch.hr.shape
    assert made.min() >= 0 and made.max() <= 1


def test_only_the_decoders_processors_are_temporal() -> None:
    assert stream_layer_kind("decoder.layers.2.alpha") == "temporal"
    assert stream_layer_kind("decoder.layers.2.temporal_processor.0.weight") == "temporal"
    assert stream_layer_kind("encoder.layers.1.alpha") == "picture"
    assert stream_layer_kind("decoder.layers.2.conv.0.weight") == "picture"


def test_it_starts_from_weights_of_its_own(tmp_path: Path) -> None:
    stage = find_recipe("stream-diffvsr/all").stages[0]
    with pytest.raises(SettingsError, match="give --start"):
        stage.objective.learner(Start(device=torch.device("cpu"), seed=0), stage)
    make_random_weights("sd-x4-upscaler", "tiny", tmp_path / "official")
    from limpid.convert.convert import convert_weights

    other = convert_weights("sd-x4-upscaler", tmp_path / "official", tmp_path / "other")
    with pytest.raises(WeightsError, match="sd-x4-upscaler; stream-diffvsr starts from"):
        stage.objective.learner(Start(device=torch.device("cpu"), seed=0, weights=other), stage)
