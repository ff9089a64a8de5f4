"""The last stage of the vivid end: what is strengthened, by how much, and what it cannot begin without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from limpid.methods.small import SMALL_FILE
from limpid.priors.small import SmallConfig, SmallNetwork, save_small
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.frequencies import beyond_lr
from limpid.train.objectives.sharpened import SharpenedTarget, sharpened
from limpid.train.objectives.small import SmallLearner, restored
from limpid.train.objectives.vivid_target import vivid_target
from limpid.train.recipes.small_model import small_small_vivid
from limpid.train.stage import Start
from limpid.types import SettingsError, WeightsError

CONFIG = SmallConfig(channels=8, layers=2, neighbours=(-1, 1))
STAGE = small_small_vivid().stages[1]
RANDOM = ClipRandom(0, (0, 1))


def network(seed: int) -> SmallNetwork:
    torch.manual_seed(seed)
    return SmallNetwork(CONFIG).requires_grad_(False)


def batch_of(hr: Tensor, lr: Tensor) -> ClipBatch:
    batch = ClipBatch(numbers=(0, 1), hr=hr, lr=lr, captions=("", ""), keys=("", ""), damages=("light", "worn"))
    return replace(batch, teacher=(hr + 0.1).clamp(0, 1))


@pytest.fixture
def lr() -> Tensor:
    return torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_detail_of_lightly_damaged_clips_is_strengthened_others_are_taught(lr: Tensor) -> None:
    target, between = SharpenedTarget(gain=2.0, worn_gain=1.5), network(0)
    batch = batch_of(torch.zeros(2, 2, 3, 64, 64), lr)
    aimed = sharpened(target, between, batch, RANDOM)
    made = restored(between, batch, RANDOM)[0]
    torch.testing.assert_close(aimed[0], made + beyond_lr(made, 4), atol=1e-5, rtol=1e-4)
    taught = vivid_target(target.worn, batch)[1]
    torch.testing.assert_close(aimed[1], taught + 0.5 * beyond_lr(taught, 4))


def test_its_pictures_lie_between_the_ends(lr: Tensor, tmp_path: Path) -> None:
    for name, seed in (("faithful", 0), ("taught", 1)):
        (tmp_path / name).mkdir()
        save_small(network(seed), tmp_path / name / SMALL_FILE)
    start = Start(device=torch.device("cpu"), seed=0, weights=tmp_path / "faithful", previous=tmp_path / "taught")
    learner = STAGE.objective.learner(start, STAGE)
    assert isinstance(learner, SmallLearner)
    assert torch.equal(learner.network.enter.weight, network(1).enter.weight)
    between = network(0)
    with torch.no_grad():
        for value, other in zip(between.parameters(), network(1).parameters(), strict=True):
            value.lerp_(other, STAGE.objective.target.taught_share)
    batch = batch_of(torch.rand(2, 2, 3, 64, 64), lr)
    wanted = sharpened(STAGE.objective.target, between, batch, RANDOM)
    torch.testing.assert_close(learner.make_target(batch, RANDOM), wanted)
    assert set(learner.losses("model", batch, RANDOM)) == {"charbonnier", "gradient", "difference", "grid"}


def test_it_says_what_it_cannot_begin_without(tmp_path: Path) -> None:
    save_small(network(0), tmp_path / SMALL_FILE)
    cpu = torch.device("cpu")
    learner = STAGE.objective.learner(Start(device=cpu, seed=0), STAGE)
    with pytest.raises(WeightsError, match="the faithful end of small is needed: --start"):
        learner.losses("model", batch_of(torch.zeros(2, 2, 3, 64, 64), torch.zeros(2, 2, 3, 16, 16)), RANDOM)
    for weights in (None, tmp_path / "realesr.param", tmp_path / "nowhere"):
        with pytest.raises(WeightsError, match="the faithful end of small is needed: --start"):
            STAGE.objective.learner(Start(device=cpu, seed=0, weights=weights, previous=tmp_path), STAGE)
    with pytest.raises(WeightsError, match="stage sharpened goes on from the stage before it, which is not there"):
        STAGE.objective.learner(Start(device=cpu, seed=0, weights=tmp_path), STAGE)
    untaught = replace(STAGE, clips=replace(STAGE.clips, teacher=False))
    with pytest.raises(SettingsError, match="needs clips with a teacher"):
        STAGE.objective.learner(Start(device=cpu, seed=0, weights=tmp_path, previous=tmp_path), untaught)
