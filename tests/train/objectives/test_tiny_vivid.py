"""The vivid target: whose frequencies it has, and that the loss is the plain one where teacher and truth agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.frequencies import fine_part, low_part
from limpid.train.objectives.tiny_vivid import TinyVivid, TinyVividLearner, fine_gain, vivid_target
from limpid.train.recipes.tiny import small_tiny_vivid, tiny_vivid
from limpid.train.stage import Start
from limpid.types import SettingsError

SMALL = small_tiny_vivid().stages[0]
STEADY = TinyVivid(least_gain=1.0, most_gain=1.0)
"""The gain is `boost` wherever the finest parts correlate."""
START = Start(device=torch.device("cpu"), seed=0)


def make_batch(teacher: torch.Tensor | None = None) -> ClipBatch:
    random = torch.Generator().manual_seed(0)
    hr = torch.rand(2, 3, 3, 64, 64, generator=random)
    lr = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 4).reshape(2, 3, 3, 16, 16)
    return ClipBatch(numbers=(0, 1), hr=hr, lr=lr, captions=("", ""), keys=("", ""), teacher=teacher)


def test_parts_add_up_and_blur_keeps_what_is_flat() -> None:
    x = torch.rand(2, 3, 64, 64)
    for sigma in (1.5, 8.0):
        assert torch.allclose(low_part(x, sigma) + fine_part(x, sigma), x)
        assert torch.allclose(low_part(torch.full((1, 3, 64, 64), 0.3), sigma), torch.full((1, 3, 64, 64), 0.3))
        assert low_part(x, sigma).std() < 0.3 * x.std()


def test_low_frequencies_are_the_truths_and_fine_ones_the_teachers() -> None:
    batch, plain = make_batch(), replace(STEADY, teacher_share=1.0, boost=1.0)
    bright = replace(batch, teacher=batch.hr + 0.2)  # a teacher that shifts colours
    assert torch.allclose(vivid_target(plain, bright), batch.hr, atol=1e-5)
    stripes = 0.1 * torch.tensor([1.0, -1.0]).repeat(32)  # a teacher with texture of its own
    textured = replace(batch, teacher=batch.hr + stripes)
    added = (vivid_target(plain, textured) - batch.hr)[..., 16:-16, 16:-16]
    assert torch.allclose(added, stripes[16:-16].expand_as(added), atol=0.01)


def test_boost_strengthens_the_finest_part_only() -> None:
    batch = make_batch()
    batch = replace(batch, teacher=batch.hr)
    added = vivid_target(replace(STEADY, boost=1.5), batch) - batch.hr
    wanted = 0.5 * fine_part(batch.hr.flatten(0, 1), STEADY.fine_sigma_px).reshape(batch.hr.shape)
    assert torch.allclose(added, wanted, atol=1e-5)


def test_the_finest_part_is_strengthened_only_where_it_moves_with_the_truths() -> None:
    random = torch.Generator().manual_seed(1)
    wanted, other = 0.05 * torch.randn(2, 1, 3, 128, 128, generator=random)
    objective, middle = TinyVivid(boost=1.0), slice(48, 80)
    same = fine_gain(objective, 0.5 * wanted, wanted)
    assert same.shape == (1, 1, 128, 128) and torch.allclose(same, torch.tensor(2.0), atol=0.3)
    assert torch.allclose(fine_gain(objective, other, wanted)[..., middle, middle], torch.tensor(0.7), atol=0.2)
    assert torch.allclose(fine_gain(objective, -wanted, wanted), torch.tensor(0.7))
    assert fine_gain(objective, 0.01 * wanted, wanted).max() <= 3
    assert torch.isfinite(fine_gain(objective, torch.zeros_like(wanted), torch.zeros_like(wanted))).all()


def test_the_loss_is_the_plain_one_where_teacher_and_truth_agree() -> None:
    batch = make_batch()
    learner = replace(SMALL.objective, boost=1.0, least_gain=1.0).learner(START, SMALL)  # type: ignore[type-var]
    assert isinstance(learner, TinyVividLearner)
    random = ClipRandom(3, batch.numbers)
    terms = learner.losses("model", replace(batch, teacher=batch.hr), random)
    plain = learner.plain.losses("model", batch, random)
    assert torch.isclose(terms["charbonnier"], plain["charbonnier"], rtol=1e-4)
    assert terms["gradient"] > 0 and terms["difference"] > 0


def test_clips_without_a_teacher_are_refused() -> None:
    with pytest.raises(SettingsError, match="needs clips with a teacher"):
        SMALL.objective.learner(START, replace(SMALL, clips=replace(SMALL.clips, teacher=False)))
    learner = SMALL.objective.learner(START, SMALL)
    with pytest.raises(SettingsError, match="without a teacher's frames"):
        learner.losses("model", make_batch(), ClipRandom(0, (0, 1)))


def test_the_recipe_says_what_it_needs() -> None:
    recipe = tiny_vivid()
    assert recipe.stages[0].clips.teacher and any("--teacher" in need for need in recipe.needs)
