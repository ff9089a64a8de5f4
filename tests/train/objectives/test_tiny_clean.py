"""The cleaner's target: the teacher's shrunk picture with the truth's low frequencies; and that it is learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from limpid.methods.tiny_ends import CLEAN_FILE
from limpid.priors.cleaned import CODEC_BLOCK_PX, Cleaner, CleanerConfig, load_cleaner
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.tiny_clean import TinyCleaning, TinyCleaningLearner, clean_target, told
from limpid.train.recipes.tiny import small_tiny_clean, tiny_clean
from limpid.train.stage import Start
from limpid.types import SettingsError

SMALL = small_tiny_clean().stages[0]
START = Start(device=torch.device("cpu"), seed=0)


def make_batch() -> ClipBatch:
    random = torch.Generator().manual_seed(0)
    hr = torch.rand(2, 3, 3, 64, 64, generator=random)
    lr = F.avg_pool2d(hr.flatten(0, 1), 4).reshape(2, 3, 3, 16, 16)
    return ClipBatch(numbers=(0, 1), hr=hr, lr=lr, captions=("", ""), keys=("", ""), teacher=hr)


def small_learner() -> TinyCleaningLearner:
    learner = SMALL.objective.learner(START, SMALL)
    assert isinstance(learner, TinyCleaningLearner)
    return learner


def test_the_target_is_the_shrunk_teacher_with_the_colours_of_the_truth() -> None:
    batch = make_batch()
    assert torch.allclose(clean_target(TinyCleaning(), batch), batch.lr, atol=1e-6)
    bright = replace(batch, teacher=batch.hr + 0.2)
    assert torch.allclose(clean_target(TinyCleaning(teacher_share=1.0), bright), batch.lr, atol=1e-5)


def test_a_new_cleaner_changes_nothing_and_the_loss_counts_what_is_wrong() -> None:
    batch, learner, random = make_batch(), small_learner(), ClipRandom(0, (0, 1))
    right = learner.losses("model", batch, random)
    assert right["gradient"] < 1e-4 and right["difference"] < 1e-4
    wrong = learner.losses("model", replace(batch, lr=batch.lr + 0.1 * torch.rand_like(batch.lr)), random)
    assert all(wrong[name] > right[name] + 0.01 for name in right)
    assert learner.preview(batch, random).shape == batch.hr.shape


def test_training_makes_the_error_smaller_and_the_file_is_what_the_method_reads(tmp_path: Path) -> None:
    batch, learner, random = make_batch(), small_learner(), ClipRandom(0, (0, 1))
    noisy = replace(batch, lr=(batch.lr - 0.5) * 0.5 + 0.5)  # less contrast, to be undone
    optimizer = torch.optim.Adam(learner.cleaner.parameters(), lr=3e-3)
    errors = []
    for _ in range(30):
        loss = torch.stack(list(learner.losses("model", noisy, random).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(float(loss.detach()))
    assert errors[-1] < 0.7 * errors[0]
    learner.save(tmp_path)
    saved = load_cleaner(tmp_path / CLEAN_FILE).state_dict()
    assert all(torch.equal(saved[name], value) for name, value in learner.cleaner.state_dict().items())


def test_clips_without_a_teacher_are_refused() -> None:
    with pytest.raises(SettingsError, match="needs clips with a teacher"):
        SMALL.objective.learner(START, replace(SMALL, clips=replace(SMALL.clips, teacher=False)))
    with pytest.raises(SettingsError, match="without a teacher's frames"):
        clean_target(TinyCleaning(), replace(make_batch(), teacher=None))
    assert any("--teacher" in need for need in tiny_clean().needs)


def told_cleaner() -> Cleaner:
    torch.manual_seed(0)
    cleaner = Cleaner(CleanerConfig(channels=8, blocks=1, grid_px=CODEC_BLOCK_PX)).requires_grad_(False)
    assert cleaner.place is not None
    cleaner.place.normal_()
    return cleaner


def test_what_it_learns_of_the_places_is_learned() -> None:
    batch, learner = make_batch(), small_learner()
    torch.nn.init.normal_(learner.cleaner.leave.weight, std=0.1)
    sum(learner.losses("model", batch, ClipRandom(0, (0, 1))).values()).backward()  # type: ignore[union-attr]
    assert learner.cleaner.place is not None and learner.cleaner.place.grad is not None
    assert learner.cleaner.place.grad.any()


def test_a_cleaner_that_was_not_told_goes_on_as_one_that_is() -> None:
    torch.manual_seed(0)
    plain = Cleaner(CleanerConfig(channels=8, blocks=1))
    wider, lr = told(plain, CODEC_BLOCK_PX), torch.rand(1, 3, 16, 16)
    assert wider.config.grid_px == CODEC_BLOCK_PX
    assert torch.equal(wider(lr, wider.places(16, 16)), plain(lr))
    assert told(plain, 0) is plain
    knows = told_cleaner()
    assert told(knows, CODEC_BLOCK_PX) is knows and told(knows, 0) is knows


def test_clips_that_begin_anywhere_are_refused() -> None:
    anywhere = replace(SMALL, clips=replace(SMALL.clips, lr_align_px=4))
    with pytest.raises(SettingsError, match="begin at one"):
        SMALL.objective.learner(START, anywhere)
    with pytest.raises(ValueError, match="no multiple of 8"):
        replace(SMALL.clips, crop_px=80)
