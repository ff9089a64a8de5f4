"""Teaching the upscalers' U-Net: what moves, what is saved, and the published number of parameters."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from limpid.convert.official_configs import DIFFVSR_UNET_CONFIG, UNET_CONFIG
from limpid.convert.start_unet import unet_kinds
from limpid.networks.by_name import WEIGHTS_FILE, make_official
from limpid.networks.unet.temporal_unet import TemporalUNet
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.diffusion import expanded, noised, v_target
from limpid.train.objectives.denoising import DenoisingLearner, even_timesteps, prediction_error
from limpid.train.recipes.upscaler_unet import TEMPORAL_KINDS, diffvsr_unet, upscale_a_video_unet
from limpid.train.stage import Recipe, Stage, Start
from limpid.train.starts.random import random_start
from limpid.train.starts.upscaler_unet import start_upscaler_unet
from limpid.types import SettingsError, WeightsError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_start(tmp_path_factory.mktemp("start"))


def small_stage(recipe: Recipe) -> Stage:
    assert recipe.small is not None
    return recipe.small().stages[0]


def make_batch(count: int = 2, frames: int = 3, lr_px: int = 8) -> ClipBatch:
    hr = torch.rand(count, frames, 3, 4 * lr_px, 4 * lr_px, generator=torch.Generator().manual_seed(1))
    lr = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 4).reshape(count, frames, 3, lr_px, lr_px)
    return ClipBatch(numbers=tuple(range(count)), hr=hr, lr=lr, captions=("a cat", ""), keys=("",) * count)


def make_learner(base: Path, stage: Stage) -> DenoisingLearner:
    start = Start(device=CPU, seed=0, weights=base)
    learner: DenoisingLearner = stage.objective.learner(start, stage)  # type: ignore[assignment]
    assert "random numbers" in start.notes[0]
    return learner


def test_stage_one_trains_the_published_number_of_parameters() -> None:
    unet = make_official("unet", UNET_CONFIG)
    kinds, sizes = unet_kinds(unet), {n: p.numel() for n, p in unet.named_parameters()}
    learned = sum(sizes[name] for kind in TEMPORAL_KINDS for name in kinds[kind])
    # The published number counts the rotary frequencies too, 16 constants that each of 16 layers stores.
    assert learned + 16 * 16 == 217_638_656
    assert upscale_a_video_unet().stages[0].trainable == TEMPORAL_KINDS


def test_the_coarse_branch_is_a_kind_of_its_own() -> None:
    kinds = unet_kinds(make_official("unet", DIFFVSR_UNET_CONFIG))
    assert kinds["multi_scale"] and set(diffvsr_unet().stages[0].trainable) == {k for k in kinds if k != "spatial"}


@pytest.mark.parametrize("make", [upscale_a_video_unet, diffvsr_unet])
def test_a_new_network_is_the_image_model(base: Path, make: object) -> None:
    learner = make_learner(base, small_stage(make()))  # type: ignore[operator]
    image = TemporalUNet.from_pretrained(base / "unet")
    batch = make_batch()
    batch = replace(batch, hr=batch.hr[:, :1].expand(-1, 3, -1, -1, -1), lr=batch.lr[:, :1].expand(-1, 3, -1, -1, -1))
    random = ClipRandom(0, batch.numbers)
    told = learner.system.condition(batch, random)
    told["low_res"] = told["low_res"][:, :, :1].expand(-1, -1, 3, -1, -1)
    z = torch.randn(2, 4, 1, 8, 8).expand(-1, -1, 3, -1, -1)
    levels = learner.system.levels(random)
    told = {name: value.double() if value.is_floating_point() else value for name, value in told.items()}
    learner.system.network.double(), image.double()  # norms over one frame and over three differ by 5e-5 in float32
    with torch.no_grad():
        ours, theirs = learner.system.raw(z.double(), levels, told), image(z.double(), levels.t, **told)
    assert (ours - theirs).abs().max() < 1e-9


@pytest.mark.parametrize("make", [upscale_a_video_unet, diffvsr_unet])
def test_gradients_reach_every_temporal_layer_and_the_loss_falls(base: Path, make: object) -> None:
    stage = small_stage(make())  # type: ignore[operator]
    learner, batch = make_learner(base, stage), make_batch()
    kinds, parameters = learner.kinds(), dict(learner.players["model"].named_parameters())
    learned = [name for kind in stage.trainable for name in kinds[kind]]
    optimizer = torch.optim.Adam([parameters[name] for name in learned], lr=3e-3)
    seen = []
    for _ in range(8):
        loss = learner.losses("model", batch, ClipRandom(0, batch.numbers))["denoising"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    assert seen[-1] < 0.95 * seen[0]
    assert [
        name for name in learned if parameters[name].grad is None or not parameters[name].grad.abs().sum() > 0
    ] == []


def test_a_clip_counts_the_same_whatever_it_is_batched_with(base: Path) -> None:
    learner, both = make_learner(base, small_stage(upscale_a_video_unet())), make_batch()
    singles = [
        replace(
            both,
            numbers=(i,),
            hr=both.hr[i : i + 1],
            lr=both.lr[i : i + 1],
            captions=both.captions[i : i + 1],
            keys=("",),
        )
        for i in range(2)
    ]
    together = learner.losses("model", both, ClipRandom(1, both.numbers))["denoising"]
    alone = [learner.losses("model", one, ClipRandom(1, one.numbers))["denoising"] for one in singles]
    assert torch.isclose(together, torch.stack(alone).mean(), rtol=1e-4)


@pytest.mark.parametrize("make", [upscale_a_video_unet, diffvsr_unet])
def test_what_is_saved_is_a_set_of_weights_and_the_next_stage_goes_on_from_it(
    base: Path, make: object, tmp_path: Path
) -> None:
    stage = small_stage(make())  # type: ignore[operator]
    learner = make_learner(base, stage)
    folder = tmp_path / "saved"
    folder.mkdir()
    learner.save(folder)
    card = json.loads((folder / "limpid.json").read_text())
    assert card["name"] == stage.objective.method and card["random"]  # type: ignore[attr-defined]
    again = stage.objective.learner(Start(device=CPU, seed=1, weights=base, previous=folder), stage)
    pairs = zip(learner.players["model"].parameters(), again.players["model"].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_preview_has_the_size_of_the_ground_truth(base: Path) -> None:
    learner, batch = make_learner(base, small_stage(upscale_a_video_unet())), make_batch(count=2)
    shown = learner.preview(batch, ClipRandom(0, batch.numbers))
    assert shown.shape == batch.hr.shape and shown.min() >= 0 and shown.max() <= 1
    assert learner.players["model"].training


def test_targets_are_what_the_samplers_take_apart_again() -> None:
    random = ClipRandom(0, (0, 1, 2))
    levels = even_timesteps(make_betas(), random)
    x0, eps = (random.normal(name, (4, 2, 3, 3)) for name in ("x0", "eps"))
    z, v = noised(x0, eps, levels.alpha, levels.sigma), v_target(x0, eps, levels.alpha, levels.sigma)
    assert torch.allclose(expanded(levels.alpha, z) * z - expanded(levels.sigma, z) * v, x0, atol=1e-5)
    for predicts, right in (("v", v), ("eps", eps), ("x0", x0)):
        system: Any = SimpleNamespace(predicts=predicts, sigma_data=1.0)
        assert prediction_error(system, right, x0, eps, levels).max() < 1e-10
        assert prediction_error(system, right + 1, x0, eps, levels).min() > 0.9


def make_betas() -> object:
    from limpid.diffusion.schedules import Betas

    return Betas()


def test_without_weights_or_with_those_of_something_else_there_is_a_sentence(base: Path, tmp_path: Path) -> None:
    stage = small_stage(upscale_a_video_unet())
    with pytest.raises(SettingsError, match="--start"):
        stage.objective.learner(Start(device=CPU, seed=0), stage)
    other = tmp_path / "other"
    other.mkdir()
    (other / "limpid.json").write_text(json.dumps({"name": "raft-things", "version": "1"}))
    with pytest.raises(WeightsError, match="raft-things"):
        stage.objective.learner(Start(device=CPU, seed=0, weights=other), stage)


def _spoilt(base: Path, to: Path, is_dropped: Callable[[str], bool]) -> Path:
    """A copy of the start whose U-Net lacks some tensors."""
    shutil.copytree(base, to)
    path = to / "unet" / WEIGHTS_FILE
    save_file({name: tensor for name, tensor in load_file(path).items() if not is_dropped(name)}, path)
    return to


@pytest.mark.parametrize("dropped", ["conv_in.weight", "mid_block.", "time_embedding.linear_1.bias"])
@pytest.mark.parametrize("make", [upscale_a_video_unet, diffvsr_unet])
def test_a_start_that_lacks_tensors_is_refused(base: Path, tmp_path: Path, make: object, dropped: str) -> None:
    """Diffusers would fill them with random numbers and go on."""
    spoilt = _spoilt(base, tmp_path / "spoilt", lambda name: name.startswith(dropped))
    with pytest.raises(WeightsError, match=re.escape(dropped)):
        make_learner(spoilt, small_stage(make()))  # type: ignore[operator]


def _saved(tmp_path: Path, base: Path, **options: Any) -> Path:
    """A folder with the U-Net of the start, given other layers."""
    start_upscaler_unet(base, own=False, multi_scale=False, options=options).save_pretrained(
        tmp_path / "saved" / "unet"
    )
    return tmp_path / "saved"


def test_layers_over_time_that_should_be_there_are_not_new(base: Path, tmp_path: Path) -> None:
    """A U-Net with layers over time that lacks one of them is damaged; only a whole kind of layer is added."""
    saved = _saved(tmp_path, base)
    added = start_upscaler_unet(saved, own=False, multi_scale=True, options={})
    assert unet_kinds(added)["multi_scale"]
    spoilt = _spoilt(saved, tmp_path / "spoilt", lambda name: name.startswith("down_temporal.0."))
    for own in (True, False):
        with pytest.raises(WeightsError, match=r"down_temporal\.0\."):
            start_upscaler_unet(spoilt, own=own, multi_scale=not own, options={})


@pytest.mark.parametrize("options", [{"layers_per_block": 4}, {"in_channels": 9}, {"cross_attention_dim": 48}])
def test_layers_in_space_are_never_new(base: Path, options: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="unet"):
        start_upscaler_unet(base, own=False, multi_scale=False, options=options)
