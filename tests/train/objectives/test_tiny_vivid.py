"""The vivid end of tiny: its loss is the plain one where teacher and truth agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.tiny_vivid import TinyVividLearner
from limpid.train.objectives.vivid_target import VividTarget
from limpid.train.recipes.tiny import small_tiny_vivid, tiny_vivid
from limpid.train.stage import Start
from limpid.types import SettingsError

SMALL = small_tiny_vivid().stages[0]
START = Start(device=torch.device("cpu"), seed=0)


def make_batch(teacher: torch.Tensor | None = None) -> ClipBatch:
    random = torch.Generator().manual_seed(0)
    hr = torch.rand(2, 3, 3, 64, 64, generator=random)
    lr = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 4).reshape(2, 3, 3, 16, 16)
    return ClipBatch(numbers=(0, 1), hr=hr, lr=lr, captions=("", ""), keys=("", ""), teacher=teacher)


def test_the_loss_is_the_plain_one_where_teacher_and_truth_agree() -> None:
    batch = make_batch()
    learner = replace(SMALL.objective, target=VividTarget(boost=1.0, least_gain=1.0)).learner(START, SMALL)  # type: ignore[type-var]
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
