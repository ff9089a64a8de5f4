"""The cleaner's target: the teacher's shrunk picture with the truth's low frequencies; and that it is learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from limpid.methods.tiny_ends import CLEAN_FILE
from limpid.priors.cleaned import load_cleaner
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.tiny_clean import TinyCleaning, TinyCleaningLearner, clean_target
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
