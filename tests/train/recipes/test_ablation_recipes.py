"""Trainings of the ablation tables: what each leaves out is out, and what they make runs as the method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import limpid
from limpid.checkpoints.folders import read_card
from limpid.methods.mgld_vsr import mgld_vsr
from limpid.networks.unet.temporal_unet import TemporalUNet
from limpid.train.freezing import freeze_layers, learning_names
from limpid.train.objectives.autoencoder import DecoderTraining
from limpid.train.recipes import RECIPES, find_recipe
from limpid.train.stage import Recipe, Stage, Start
from limpid.train.starts.random import random_converted, random_start

CPU = torch.device("cpu")
ABLATIONS = [name for name, where in RECIPES.items() if where.startswith(".ablations:")]
FRAMES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_start(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def mgld(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_converted("mgld-vsr", tmp_path_factory.mktemp("mgld"))


def small(name: str) -> Recipe:
    make = find_recipe(name).small
    assert make is not None
    return make()


def learner_of(name: str, start: Path, stage: int = 0) -> tuple[Any, Stage]:
    chosen = small(name).stages[stage]
    return chosen.objective.learner(Start(device=CPU, seed=0, weights=start), chosen), chosen


def saved(name: str, start: Path, folder: Path) -> Path:
    """What the recipe would save before its first step."""
    folder.mkdir(parents=True)
    learner_of(name, start)[0].save(folder)
    return folder


def test_all_are_listed_with_their_source() -> None:
    assert len(ABLATIONS) == 11
    for name in ABLATIONS:
        recipe = find_recipe(name)
        assert recipe.name == name and all(stage.source for stage in recipe.stages)
        assert recipe.needs and recipe.small is not None


def test_ways_of_learning_have_as_many_steps() -> None:
    names = ("diffvsr/unet", "diffvsr/unet-direct", "diffvsr/unet-two-stage", "diffvsr/unet-without-msta")
    assert {sum(stage.steps for stage in find_recipe(name).stages) for name in names} == {120_000}
    (direct,) = find_recipe("diffvsr/unet-direct").stages
    simple, rest = find_recipe("diffvsr/unet-two-stage").stages
    assert direct.clips.degradation == "complex" and "all" not in direct.trainable
    assert (simple.clips.degradation, rest.clips.degradation, rest.trainable) == ("simple", "complex", ("all",))


def test_losses_are_left_out_as_the_table_says() -> None:
    left = {"": (0.5, 0.5), "-without-difference": (0.0, 0.5), "-without-consistency": (0.5, 0.0)}
    left["-without-sequence-losses"] = (0.0, 0.0)
    for name, wanted in left.items():
        (stage,) = find_recipe(f"mgld-vsr/vae{name}").stages
        assert isinstance(stage.objective, DecoderTraining)
        assert (stage.objective.weights.difference, stage.objective.weights.consistency) == wanted


def test_a_unet_without_msta_has_none_and_runs(image_model: Path, tmp_path: Path) -> None:
    learner, stage = learner_of("diffvsr/unet-without-msta", image_model)
    assert not learner.kinds()["multi_scale"] and learning_names(learner.kinds(), stage)
    weights = saved("diffvsr/unet-without-msta", image_model, tmp_path / "made")
    assert read_card(weights).name == "diffvsr" and not TemporalUNet.load_config(weights / "unet")["msta"]


@pytest.mark.parametrize("name", ["diffvsr/vae-2d", "diffvsr/vae-3d"])
def test_a_decoder_then_a_unet_make_weights_of_diffvsr(name: str, image_model: Path, tmp_path: Path) -> None:
    learner, _ = learner_of(name, image_model)
    names = [name for name, _ in learner.vae.named_parameters()]
    assert not [name for name in names if ".over_time." in name]
    assert any(".temporal." in name for name in names) == (name == "diffvsr/vae-3d")
    decoder = saved(name, image_model, tmp_path / "decoder")
    weights = saved("diffvsr/unet-direct", decoder, tmp_path / "unet")
    made = list(limpid.restore(FRAMES, method="diffvsr", weights=str(weights), steps=1, guidance="none"))
    assert np.stack(made).shape == (3, 64, 64, 3)


def test_new_decoders_begin_as_the_image_models(image_model: Path) -> None:
    z = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = [learner_of(f"diffvsr/vae-{kind}", image_model)[0].vae.decode(z, num_frames=4) for kind in ("2d", "3d")]
    torch.testing.assert_close(*made, rtol=1e-4, atol=1e-4)


def test_cfw_alone_leaves_frames_to_themselves(mgld: Path) -> None:
    learner, stage = learner_of("mgld-vsr/vae-cfw", mgld)
    freeze_layers(learner, stage)
    learning = {name.split(".")[0] for name, p in learner.vae.named_parameters() if p.requires_grad}
    assert learning == {"fusion"}
    z = torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together = learner.vae.decode(z, 3, None, 0.0)
        alone = torch.cat([learner.vae.decode(frame[None], 1, None, 0.0) for frame in z])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_layers_over_time_alone_run_without_the_input(mgld: Path, tmp_path: Path) -> None:
    learner, stage = learner_of("mgld-vsr/vae-temporal", mgld)
    freeze_layers(learner, stage)
    assert not [name for name, p in learner.vae.named_parameters() if p.requires_grad and name.startswith("fusion.")]
    weights = saved("mgld-vsr/vae-temporal", mgld, tmp_path / "made")
    assert read_card(weights).defaults["decoder_weight"] == 0.0
    assert "decoder_weight" not in read_card(saved("mgld-vsr/vae-cfw", mgld, tmp_path / "other")).defaults
    mgld_vsr(weights=str(weights))


def test_the_input_has_no_say_at_weight_0(mgld: Path) -> None:
    from limpid.train.objectives.autoencoder import decoded

    vae = learner_of("mgld-vsr/vae-temporal", mgld)[0].vae
    random = torch.Generator().manual_seed(1)
    z, lr = torch.randn(2, 4, 4, 4, generator=random), torch.rand(2, 2, 3, 8, 8, generator=random)
    with torch.no_grad():
        without = [decoded(vae, z, 2, each, 0.0) for each in lr]
        told = [decoded(vae, z, 2, each, 1.0) for each in lr]
    assert torch.equal(*without) and not torch.equal(*told)


def test_a_decoder_that_is_not_told_of_the_input_can_start_from_one_that_is(image_model: Path, tmp_path: Path) -> None:
    whole = saved("upscale-a-video/vae", image_model, tmp_path / "whole")
    recipe = small("upscale-a-video/vae-without-input")
    learner = recipe.stages[0].objective.learner(Start(device=CPU, seed=0, weights=whole), recipe.stages[0])
    assert "condition" not in learner.kinds() and "temporal" in learner.kinds()
    assert recipe.stages[0].trainable == ("temporal",)
