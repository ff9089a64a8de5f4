"""The losses of `small`: known values, what does not count, and that what is learned is what the method reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from limpid.methods.small import SMALL_FILE
from limpid.priors.small import load_small
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.blocks import grid_excess
from limpid.train.losses.pixels import PER_UNIT
from limpid.train.objectives.codec_places import told_places
from limpid.train.objectives.small import SmallLearner, restored
from limpid.train.objectives.vivid_target import vivid_target
from limpid.train.recipes.small_model import small_faithful, small_small_faithful, small_small_vivid, small_vivid
from limpid.train.stage import Stage, Start
from limpid.types import SettingsError

FAITHFUL, VIVID = small_small_faithful().stages[0], small_small_vivid().stages[0]
START = Start(device=torch.device("cpu"), seed=0)
RANDOM = ClipRandom(0, (0, 1))


def make_batch(**changes: object) -> ClipBatch:
    random = torch.Generator().manual_seed(0)
    hr = torch.rand(2, 3, 3, 64, 64, generator=random)
    lr = F.avg_pool2d(hr.flatten(0, 1), 4).reshape(2, 3, 3, 16, 16)
    batch = ClipBatch(numbers=(0, 1), hr=hr, lr=lr, captions=("", ""), keys=("", ""), damages=("light", "worn"))
    return replace(batch, teacher=(hr + 0.1 * torch.randn(hr.shape, generator=random)).clamp(0, 1), **changes)  # type: ignore[arg-type]


def make_learner(stage: Stage = FAITHFUL) -> SmallLearner:
    learner = stage.objective.learner(START, stage)
    assert isinstance(learner, SmallLearner)
    return learner


def bicubic(batch: ClipBatch) -> torch.Tensor:
    return F.interpolate(batch.lr.flatten(0, 1), scale_factor=4, mode="bicubic").reshape(batch.hr.shape)


def test_a_new_network_upscales_bicubically_and_its_loss_is_what_that_misses() -> None:
    batch, learner = make_batch(), make_learner()
    assert torch.equal(learner.preview(batch, RANDOM), bicubic(batch).clamp(0, 1))
    terms = learner.losses("model", batch, RANDOM)
    error = (bicubic(batch) - batch.hr)[..., 8:-8, 8:-8] * PER_UNIT
    assert torch.isclose(terms["charbonnier"], (error.square() + 1).sqrt().mean())
    assert torch.isclose(terms["difference"], 0.1 * (error[:, 1:] - error[:, :-1]).abs().mean())
    steps = [error.diff(dim=-1), error.diff(dim=-2)]
    assert torch.isclose(terms["gradient"], 0.15 * sum(step.abs().mean() for step in steps))
    assert set(terms) == {"charbonnier", "gradient", "difference", "grid"}


def test_a_grid_that_the_truth_has_not_costs_where_damage_is_not_light_whatever_is_aimed_at() -> None:
    plain = make_batch()
    steps = 0.5 * torch.rand(2, 1, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    blocks = steps.repeat_interleave(8, -1).repeat_interleave(8, -2)
    batch = replace(plain, lr=0.5 * plain.lr + blocks)
    excess = grid_excess(bicubic(batch), 4, 8) - grid_excess(batch.hr, 4, 8)
    assert (excess > 0.1).all()
    for stage in (FAITHFUL, VIVID):
        learner = make_learner(replace(stage, objective=replace(stage.objective, grid_weight=0.2)))  # type: ignore[type-var]
        grid = learner.losses("model", batch, RANDOM)["grid"]
        assert torch.isclose(grid, 0.2 * excess[1].square() / 2)  # the first clip is lightly damaged
        assert learner.losses("model", replace(plain, hr=bicubic(batch)), RANDOM)["grid"] == 0


def test_the_vivid_end_aims_at_the_vivid_target() -> None:
    batch, learner = make_batch(), make_learner(VIVID)
    target = vivid_target(learner.objective.target, batch)  # type: ignore[arg-type]
    assert torch.equal(learner.make_target(batch, RANDOM), target)
    assert not torch.equal(target, learner.make_target(replace(batch, damages=()), RANDOM))
    terms = learner.losses("model", batch, RANDOM)
    error = (bicubic(batch) - target)[..., 8:-8, 8:-8] * PER_UNIT
    assert torch.isclose(terms["charbonnier"], (error.square() + 0.1).sqrt().mean())
    steps = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    assert torch.isclose(terms["gradient"], steps, rtol=1e-4)
    assert torch.isclose(terms["difference"], 0.5 * error.diff(dim=1).abs().mean(), rtol=1e-4)


def test_borders_of_crops_do_not_count() -> None:
    batch, learner = make_batch(), make_learner()
    framed = batch.hr.clone()
    framed[..., :8, :] = framed[..., -8:, :] = framed[..., :8] = framed[..., -8:] = 0.5
    before, after = (learner.losses("model", replace(batch, hr=hr), RANDOM) for hr in (batch.hr, framed))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_what_it_is_told_of_the_blocks_is_drawn_for_each_clip() -> None:
    numbers = tuple(range(12))
    batch = make_batch()
    many = replace(
        batch, numbers=numbers, hr=batch.hr[:1].expand(12, -1, -1, -1, -1), lr=batch.lr[:1].expand(12, -1, -1, -1, -1)
    )
    network = make_learner().network
    torch.nn.init.normal_(network.place)
    torch.nn.init.normal_(network.leave.weight, std=0.1)
    random = ClipRandom(0, numbers)
    drawn = told_places(network.places(16, 16), 3, random).unflatten(0, (12, 3))[:, 0]
    with torch.no_grad():
        made, true = restored(network, many, random), restored(network, many)
    told_right = [torch.equal(each, network.places(16, 16)[0]) for each in drawn]
    assert any(told_right) and not all(told_right)
    for right, first, second in zip(told_right, made, true, strict=True):
        assert torch.allclose(first, second, atol=1e-5) == right


def test_fewer_bits_leave_the_enlarged_frame_as_it_is() -> None:
    batch, learner = make_batch(), make_learner()
    with torch.autocast("cpu", torch.bfloat16):
        made = restored(learner.network, batch)
    assert torch.equal(made, bicubic(batch))


@pytest.mark.parametrize("stage", [FAITHFUL, VIVID])
def test_training_makes_the_error_smaller_and_the_file_is_what_the_method_reads(stage: Stage, tmp_path: Path) -> None:
    batch, learner = make_batch(), make_learner(stage)
    bright = bicubic(batch) + 0.2  # known from the input
    batch = replace(batch, hr=bright, teacher=bright)
    optimizer, errors = torch.optim.Adam(learner.network.parameters(), lr=3e-3), []
    for _ in range(20):
        loss = torch.stack(list(learner.losses("model", batch, RANDOM).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(float(loss.detach()))
    assert errors[-1] < 0.9 * errors[0]
    learner.save(tmp_path)
    saved = load_small(tmp_path / SMALL_FILE).state_dict()
    assert all(torch.equal(saved[name], value) for name, value in learner.network.state_dict().items())


def test_clips_that_do_not_fit_are_refused() -> None:
    for stage, clips, says in (
        (VIVID, replace(VIVID.clips, teacher=False), "needs clips with a teacher"),
        (FAITHFUL, replace(FAITHFUL.clips, lr_align_px=4), "begin at one"),
        (FAITHFUL, replace(FAITHFUL.clips, scale=2), "clips shrink 2 times, small enlarges 4 times"),
    ):
        with pytest.raises(SettingsError, match=says):
            stage.objective.learner(START, replace(stage, clips=clips))


def test_the_recipes_say_what_they_need() -> None:
    faithful, vivid = small_faithful(), small_vivid()
    assert any("realesr-animevideov3-x4.param" in need for need in faithful.needs)
    assert any("the faithful end" in need for need in vivid.needs)
    assert not faithful.stages[0].clips.teacher and [stage.clips.teacher for stage in vivid.stages] == [True, True]
    assert any("--teacher" in need for need in vivid.needs)
