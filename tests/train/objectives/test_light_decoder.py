"""Distilling a light decoder: what it begins as, what is compared, that it comes near its teacher, what is saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import limpid
from limpid.checkpoints.folders import folder_facts, read_card, write_card
from limpid.convert.verify import verify_weights
from limpid.methods.upscaler_family import LIGHT
from limpid.train.freezing import freeze_layers
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.light_decoder import LightLearner, decoded_clips
from limpid.train.recipes.light_decoder import diffvsr_light_decoder, upscale_a_video_light_decoder
from limpid.train.stage import Stage, Start
from limpid.types import SettingsError, WeightsError

CPU = torch.device("cpu")
RECIPES = {"upscale-a-video": upscale_a_video_light_decoder, "diffvsr": diffvsr_light_decoder}
LR_PX = 8


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name, recipe in RECIPES.items():
        small = recipe().small
        assert small is not None
        make: Any = small().make_start
        found[name] = make(tmp_path_factory.mktemp(name))
    return found


def small_stage(name: str, **objective: Any) -> Stage:
    small = RECIPES[name]().small
    assert small is not None
    (stage,) = small().stages
    return replace(stage, objective=replace(stage.objective, **objective))  # type: ignore[type-var]


def make_learner(name: str, folder: Path, assets: Path, **objective: Any) -> LightLearner:
    stage = small_stage(name, **objective)
    learner: Any = stage.objective.learner(Start(device=CPU, seed=0, weights=folder, assets=assets), stage)
    assert isinstance(learner, LightLearner)
    freeze_layers(learner, stage)
    return learner


def make_batch(numbers: tuple[int, ...] = (0, 1), frames: int = 3) -> ClipBatch:
    """Clip ``n`` is the same in every batch: a random texture that moves."""
    clips = []
    for number in numbers:
        chance = torch.Generator().manual_seed(number)
        texture = F.interpolate(torch.rand(1, 3, LR_PX + 4, LR_PX + 4, generator=chance), scale_factor=4)[0]
        clips.append(torch.stack([texture[:, : 4 * LR_PX, 2 * t : 2 * t + 4 * LR_PX] for t in range(frames)]))
    hr = torch.stack(clips)
    lr = F.avg_pool2d(hr.flatten(0, 1), 4).reshape(len(numbers), frames, 3, LR_PX, LR_PX)
    words = ("",) * len(numbers)
    return ClipBatch(numbers=numbers, hr=hr, lr=lr, captions=words, keys=words)


def save(learner: LightLearner, folder: Path) -> Path:
    folder.mkdir()
    learner.save(folder)
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_it_begins_as_bicubic_upscaling_with_the_teacher_s_encoder(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    learner, batch = make_learner(name, folders[name], tmp_path), make_batch()
    large = F.interpolate(batch.lr.flatten(0, 1), scale_factor=4, mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        shown = learner.preview(batch, ClipRandom(0, batch.numbers))
        frames = batch.hr.flatten(0, 1) * 2 - 1
        pairs = zip(learner.vae.encode(frames, 3), learner.teacher.encode(frames, 3), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.allclose(shown, large.reshape(shown.shape), atol=1e-6)
    kinds = {kind: set(names) for kind, names in learner.kinds().items()}
    learning = {key for key, parameter in learner.vae.named_parameters() if parameter.requires_grad}
    assert learning == kinds["decoder"] and all(key.startswith(("encoder.", "quant_")) for key in kinds["encoder"])


@pytest.mark.parametrize("name", RECIPES)
def test_terms_are_differences_from_the_teacher(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    learner, batch = make_learner(name, folders[name], tmp_path), make_batch()
    random = ClipRandom(0, batch.numbers)
    terms = learner.losses("model", batch, random)
    assert set(terms) == {"l1", "gradient", "difference"}
    with torch.no_grad():
        z = learner.latents(batch, random)
        made, wanted = (decoded_clips(vae, z, batch) for vae in (learner.vae, learner.teacher))
        error = made - wanted.clamp(-1, 1)
    assert terms["l1"].item() == pytest.approx(error.abs().mean().item(), rel=1e-5)
    assert terms["difference"].item() == pytest.approx(0.5 * error.diff(dim=1).abs().mean().item(), rel=1e-5)
    few = make_learner(name, folders[name], tmp_path, perceptual=0.0, difference=0.0, l1=2.0)
    assert {k: v.item() for k, v in few.losses("model", batch, random).items()} == {"l1": 2 * terms["l1"].item()}
    alone = [learner.losses("model", make_batch((n,)), ClipRandom(0, (n,)))["l1"].item() for n in (0, 1)]
    assert terms["l1"].item() == pytest.approx(sum(alone) / 2, rel=1e-3)


def distance(learner: LightLearner, batch: ClipBatch) -> Tensor:
    with torch.no_grad():
        return learner.losses("model", batch, ClipRandom(7, batch.numbers))["l1"]


def test_a_short_distillation_comes_near_the_teacher_on_clips_it_has_not_seen(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    learner, apart = make_learner("diffvsr", folders["diffvsr"], tmp_path), make_batch((1000, 1001))
    before = distance(learner, apart)
    learning = [parameter for parameter in learner.vae.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=4e-3)
    for step in range(20):
        batch = make_batch((2 * step, 2 * step + 1))
        terms = learner.losses("model", batch, ClipRandom(0, batch.numbers))
        optimizer.zero_grad()
        torch.stack([*terms.values()]).sum().backward()
        optimizer.step()
    after = distance(learner, apart)
    assert after < 0.7 * before


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_saved_restores_a_film_and_can_be_gone_on_from(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    learner = make_learner(name, folders[name], tmp_path)
    torch.nn.init.normal_(learner.vae.decoder.conv_out.weight, std=0.1)
    saved = save(learner, tmp_path / "saved")
    card = read_card(saved)
    assert (card.name, card.random, card.files) == (name, True, folder_facts(saved))
    assert any("distilled" in note for note in card.notes)
    assert verify_weights(saved) == []
    again = make_learner(name, saved, tmp_path)
    state = learner.vae.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in again.vae.state_dict().items())
    with pytest.raises(WeightsError, match="the recipe asks for"):
        make_learner(name, saved, tmp_path, decoder={"width": 32})

    clip = np.random.default_rng(0).integers(0, 256, (9, 9, 18, 3), dtype=np.uint8)
    common = {"method": name, "steps": 1, "color": "none", "guidance": "none"}
    light = {**common, "autoencoder": "light"}
    changes = [common, light, {**light, "strength": 0.5, "steps": 2}, {**light, "tile_px": 16, "segment_frames": 6}]
    made = [np.stack(list(limpid.restore(clip, weights=str(saved), **change))) for change in changes]
    assert {frames.shape for frames in made} == {(9, 36, 72, 3)}
    assert len({frames.tobytes() for frames in made}) == 4


def test_trained_defaults_stay(folders: dict[str, Path], tmp_path: Path) -> None:
    """A student of few steps that gets a light decoder goes on taking few steps."""
    first = save(make_learner("diffvsr", folders["diffvsr"], tmp_path), tmp_path / "first")
    write_card(first, replace(read_card(first), defaults={"steps": 4}))
    again = save(make_learner("diffvsr", first, tmp_path), tmp_path / "again")
    assert read_card(again).defaults == {"steps": 4} and (again / LIGHT).is_dir()


def test_what_it_cannot_start_from_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    stage = small_stage("diffvsr")
    with pytest.raises(SettingsError, match="--start"):
        stage.objective.learner(Start(device=CPU, seed=0), stage)
    with pytest.raises(WeightsError, match="weights of upscale-a-video"):
        make_learner("diffvsr", folders["upscale-a-video"], tmp_path)
