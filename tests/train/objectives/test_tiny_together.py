"""Tiny and its cleaner as one network: whose gradients there are, and that both files are what the method reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from limpid.methods.tiny_ends import find_ends
from limpid.priors.cleaned import CleanedPrior, CleanerConfig, load_cleaner
from limpid.priors.tiny import TinyConfig, load_tiny
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.tiny import TinyDenoising
from limpid.train.objectives.tiny_together import TinyTogether, TinyTogetherLearner
from limpid.train.objectives.tiny_vivid import TinyVivid
from limpid.train.recipes.tiny import small_tiny_vivid
from limpid.train.stage import Start
from limpid.types import Placement, SettingsError

PLAIN = TinyDenoising(config=TinyConfig(channels=16, blocks=2, shifts=(1,)), near_pure_noise=1.0)
STAGE = small_tiny_vivid().stages[0]
START = Start(device=torch.device("cpu"), seed=0)
RANDOM = ClipRandom(0, (0, 1))


def make_batch() -> ClipBatch:
    random = torch.Generator().manual_seed(0)
    hr = torch.rand(2, 3, 3, 64, 64, generator=random)
    lr = F.avg_pool2d(hr.flatten(0, 1), 4).reshape(2, 3, 3, 16, 16)
    return ClipBatch(numbers=(0, 1), hr=hr, lr=lr, captions=("", ""), keys=("", ""), teacher=hr)


def make_learner(start: Start = START, **values: object) -> TinyTogetherLearner:
    objective = TinyTogether(**{"end": PLAIN, "cleaner": CleanerConfig(channels=8, blocks=1), **values})  # type: ignore[arg-type]
    return objective.learner(start, STAGE)


def learn(learner: TinyTogetherLearner, batch: ClipBatch, steps: int) -> list[float]:
    optimizer = torch.optim.Adam(learner.both.parameters(), lr=3e-3)
    errors = []
    for _ in range(steps):
        loss = torch.stack(list(learner.losses("model", batch, RANDOM).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(float(loss.detach()))
    return errors


@pytest.mark.parametrize("end", [PLAIN, TinyVivid(denoising=PLAIN)])
def test_a_new_cleaner_changes_nothing_of_the_ends_own_loss(end: TinyDenoising | TinyVivid) -> None:
    batch, learner = make_batch(), make_learner(end=end)
    alone, together = learner.end.losses("model", batch, RANDOM), learner.losses("model", batch, RANDOM)
    assert all(torch.allclose(value, together[name]) for name, value in alone.items())
    assert learner.preview(batch, RANDOM).shape == batch.hr.shape
    assert torch.allclose(learner.preview(batch, RANDOM), learner.end.preview(batch, RANDOM))


def test_both_networks_learn_from_the_picture_alone() -> None:
    batch, learner = make_batch(), make_learner(frame_weight=0.0, left_out=0.0, partly=0.0)
    before = {name: value.clone() for name, value in learner.both.named_parameters()}
    noisy = replace(batch, lr=(batch.lr - 0.5) * 0.5 + 0.5)  # less contrast, to be undone
    errors = learn(learner, noisy, 30)
    assert errors[-1] < errors[0]
    moved = {
        name.split(".")[0] for name, value in learner.both.named_parameters() if not torch.equal(value, before[name])
    }
    assert moved == {"tiny", "cleaner"}


def test_clips_that_the_cleaner_is_left_out_of_do_not_count_for_it() -> None:
    batch, learner = make_batch(), make_learner(left_out=1.0)
    losses = learner.losses("model", replace(batch, lr=batch.lr * 0.5), RANDOM)
    assert float(losses["frames"].detach()) == 0
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is None or not p.grad.any() for p in learner.cleaner.parameters())


def test_shares_of_the_cleaner_are_none_a_part_and_most_often_all() -> None:
    learner = make_learner(left_out=0.25, partly=0.25)
    shares = learner.shares(ClipRandom(0, tuple(range(400))))
    none, all_of_it = (shares == 0).float().mean(), (shares == 1).float().mean()
    assert abs(none - 0.25) < 0.08 and abs(all_of_it - 0.5) < 0.08
    assert shares.min() >= 0 and shares.max() <= 1


def test_what_is_saved_runs_as_both_and_is_trained_further(tmp_path: Path) -> None:
    batch, learner = make_batch(), make_learner(left_out=0.0, partly=0.0)
    learn(learner, replace(batch, lr=batch.lr * 0.8), 3)
    learner.save(tmp_path)
    ends = find_ends(tmp_path / "tiny.safetensors", None, 1.0)
    prior = ends.load(Placement(device=torch.device("cpu"), dtype=torch.float32))
    assert isinstance(prior, CleanedPrior)
    again = make_learner(Start(device=torch.device("cpu"), seed=1, weights=tmp_path))
    for mine, other in (
        (learner.cleaner, load_cleaner(tmp_path / "tiny_clean.safetensors")),
        (learner.end.network, again.end.network),
    ):
        assert all(torch.equal(other.state_dict()[name], value) for name, value in mine.state_dict().items())
    assert load_tiny(tmp_path / "tiny.safetensors").config == PLAIN.config
    (tmp_path / "tiny_clean.safetensors").unlink()  # as tiny's own recipe leaves its folder
    new = make_learner(Start(device=torch.device("cpu"), seed=1, weights=tmp_path / "tiny.safetensors")).cleaner
    assert not new.leave.weight.any()


def test_a_vivid_end_wants_a_teacher() -> None:
    stage = replace(STAGE, clips=replace(STAGE.clips, teacher=False))
    with pytest.raises(SettingsError, match="needs clips with a teacher"):
        TinyTogether(end=TinyVivid(denoising=PLAIN)).learner(START, stage)
