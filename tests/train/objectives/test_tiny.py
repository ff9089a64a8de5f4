"""The loss of `tiny`: known values, what it ignores, and that learning it works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from limpid.methods.tiny_ends import TINY_FILE
from limpid.priors.tiny import TinyConfig, load_tiny
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.tiny import TinyDenoising, TinyLearner, noise_levels, tiny_latents
from limpid.train.recipes.tiny import small_tiny_denoiser, tiny_denoiser
from limpid.train.stage import Start
from limpid.types import SettingsError

SMALL = small_tiny_denoiser().stages[0]


def make_batch(count: int = 2, frames: int = 3, lr_px: int = 16, first: int = 0) -> ClipBatch:
    generator = torch.Generator().manual_seed(first)
    hr = torch.rand(count, frames, 3, 4 * lr_px, 4 * lr_px, generator=generator)
    lr = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 4).reshape(count, frames, 3, lr_px, lr_px)
    numbers = tuple(range(first, first + count))
    return ClipBatch(numbers=numbers, hr=hr, lr=lr, captions=("",) * count, keys=("",) * count)


def make_learner(**changes: object) -> TinyLearner:
    objective = replace(SMALL.objective, **changes)  # type: ignore[type-var]
    return objective.learner(Start(device=torch.device("cpu"), seed=0), SMALL)  # type: ignore[no-any-return]


def test_starts_as_bicubic_upscaling_when_the_network_says_nothing() -> None:
    learner = make_learner()
    with torch.no_grad():
        for parameter in (learner.network.conv_out, learner.network.conv_spread):
            parameter.weight.zero_(), parameter.bias.zero_()
        learner.network.conv_spread.bias.fill_(-20)
    batch = make_batch()
    shown = learner.preview(batch, ClipRandom(0, batch.numbers))
    wanted = torch.nn.functional.interpolate(batch.lr.flatten(0, 1), scale_factor=4, mode="bicubic").clamp(0, 1)
    assert shown.shape == batch.hr.shape
    assert (shown.flatten(0, 1) - wanted).abs().max() < 1e-4


def test_the_loss_of_a_network_that_says_nothing_is_the_residual_in_units_of_the_noise_level() -> None:
    learner = make_learner(near_pure_noise=1.0, border=0)
    with torch.no_grad():
        for parameter in (learner.network.conv_out, learner.network.conv_spread):
            parameter.weight.zero_(), parameter.bias.zero_()
        learner.network.conv_spread.bias.fill_(-20)
    batch = make_batch(count=1)
    random = ClipRandom(3, batch.numbers)
    o, sigma = learner.objective, noise_levels(learner.objective, random)
    residual = batch.hr[0] - torch.nn.functional.interpolate(batch.lr[0], scale_factor=4, mode="bicubic")
    c_out = sigma * o.typical_sigma / (sigma**2 + o.typical_sigma**2).sqrt()
    wanted = ((residual * learner.network.config.latent_scale / c_out) ** 2 + o.smooth).sqrt().mean()
    assert torch.isclose(learner.losses("model", batch, random)["charbonnier"], wanted, rtol=1e-4)


def test_a_clip_counts_the_same_whatever_it_is_batched_with() -> None:
    learner, both = make_learner(), make_batch(count=2)
    singles = [
        replace(both, numbers=(i,), hr=both.hr[i : i + 1], lr=both.lr[i : i + 1], captions=("",), keys=("",))
        for i in range(2)
    ]
    together = learner.losses("model", both, ClipRandom(1, both.numbers))["charbonnier"]
    alone = [learner.losses("model", each, ClipRandom(1, each.numbers))["charbonnier"] for each in singles]
    assert torch.isclose(together, torch.stack(alone).mean(), rtol=1e-5)


def test_noise_levels_lie_in_the_range_and_half_of_them_near_its_end() -> None:
    sigma = noise_levels(TinyDenoising(), ClipRandom(0, tuple(range(2000))))
    assert sigma.min() >= 0.02 and sigma.max() <= 80
    near = (sigma >= 20).float().mean().item()
    assert 0.5 + 0.5 * 0.167 - 0.05 < near < 0.5 + 0.5 * 0.167 + 0.05


def test_latents_decode_to_the_ground_truth() -> None:
    batch = make_batch()
    x0, patches = tiny_latents(batch, TinyConfig())
    assert x0.is_contiguous(memory_format=torch.channels_last) and patches.shape[1] == 12
    assert x0.shape == (6, 192, 8, 8)


def test_learning_lowers_the_loss_and_the_saved_file_loads(tmp_path: Path) -> None:
    learner, batch = make_learner(), make_batch()
    optimizer = torch.optim.AdamW(learner.network.parameters(), lr=3e-3)
    seen = []
    for _ in range(20):
        loss = learner.losses("model", batch, ClipRandom(0, batch.numbers))["charbonnier"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    assert seen[-1] < 0.97 * seen[0]
    learner.save(tmp_path)
    again = load_tiny(tmp_path / TINY_FILE)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), learner.network.parameters(), strict=True))
    started = SMALL.objective.learner(Start(device=torch.device("cpu"), seed=0, previous=tmp_path), SMALL)
    assert torch.equal(started.players["model"].conv_lr.weight, again.conv_lr.weight)  # type: ignore[union-attr]


def test_every_parameter_has_a_kind() -> None:
    learner = make_learner()
    named = [name for kind in learner.kinds().values() for name in kind]
    assert sorted(named) == sorted(name for name, _ in learner.network.named_parameters())


def test_clips_of_another_scale_are_refused() -> None:
    stage = replace(SMALL, clips=replace(SMALL.clips, scale=2, crop_px=64))
    with pytest.raises(SettingsError, match="enlarges 4 times"):
        SMALL.objective.learner(Start(device=torch.device("cpu"), seed=0), stage)


def test_the_recipe_trains_the_shape_that_ships() -> None:
    assert tiny_denoiser().stages[0].objective.config == TinyConfig()  # type: ignore[attr-defined]
