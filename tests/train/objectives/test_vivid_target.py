"""The vivid target: whose frequencies it has, where its finest part is strengthened, and what it knows of damage."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from limpid.train.learner import ClipBatch
from limpid.train.losses.frequencies import fine_part, low_part
from limpid.train.objectives.vivid_target import VividTarget, fine_gain, vivid_target
from limpid.types import SettingsError

STEADY = VividTarget(least_gain=1.0, most_gain=1.0)
"""The gain is `boost` wherever the finest parts correlate."""


def make_batch(damages: tuple[str, ...] = ()) -> ClipBatch:
    random = torch.Generator().manual_seed(0)
    hr = torch.rand(2, 3, 3, 64, 64, generator=random)
    lr = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 4).reshape(2, 3, 3, 16, 16)
    return ClipBatch(numbers=(0, 1), hr=hr, lr=lr, captions=("", ""), keys=("", ""), damages=damages)


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
    target, middle = VividTarget(boost=1.0), slice(48, 80)
    same = fine_gain(target, 0.5 * wanted, wanted)
    assert same.shape == (1, 1, 128, 128) and torch.allclose(same, torch.tensor(2.0), atol=0.3)
    assert torch.allclose(fine_gain(target, other, wanted)[..., middle, middle], torch.tensor(0.7), atol=0.2)
    assert torch.allclose(fine_gain(target, -wanted, wanted), torch.tensor(0.7))
    assert fine_gain(target, 0.01 * wanted, wanted).max() <= 3
    assert torch.isfinite(fine_gain(target, torch.zeros_like(wanted), torch.zeros_like(wanted))).all()


def test_fewer_bits_of_the_networks_do_not_change_the_target() -> None:
    batch = replace(make_batch(("light", "")), teacher=torch.rand(2, 3, 3, 64, 64))
    target = VividTarget(light_truth_sigma_px=3.0)
    with torch.autocast("cpu", torch.bfloat16):
        fast = vivid_target(target, batch)
    assert torch.equal(fast, vivid_target(target, batch))


def test_lightly_damaged_clips_have_more_of_the_truth() -> None:
    bright = replace(make_batch(("light", "worn")), teacher=torch.rand(2, 3, 3, 64, 64))
    narrow, wide = VividTarget(truth_sigma_px=3.0), VividTarget(truth_sigma_px=16.0)
    both = replace(wide, light_truth_sigma_px=3.0)
    made = vivid_target(both, bright)
    assert torch.equal(made[0], vivid_target(narrow, bright)[0])
    assert torch.equal(made[1], vivid_target(wide, bright)[1])
    assert not torch.equal(made[0], vivid_target(wide, bright)[0])
    for unknown in ((), ("", "")):
        assert torch.equal(vivid_target(both, replace(bright, damages=unknown)), vivid_target(wide, bright))


def test_a_target_needs_a_teacher() -> None:
    with pytest.raises(SettingsError, match="without a teacher's frames"):
        vivid_target(VividTarget(), make_batch())
