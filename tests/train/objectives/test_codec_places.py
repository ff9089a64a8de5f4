"""What networks are told of the codec's blocks while they learn."""

from __future__ import annotations

import torch

from limpid.priors.cleaned import CODEC_BLOCK_PX, tiled_places
from limpid.train.learner import ClipRandom
from limpid.train.objectives.codec_places import told_places


def test_most_clips_are_told_the_truth_about_blocks_some_nothing_some_what_is_wrong() -> None:
    torch.manual_seed(0)
    true = tiled_places(torch.randn(8, CODEC_BLOCK_PX, CODEC_BLOCK_PX), 16, 16)
    places = told_places(true, 2, ClipRandom(0, tuple(range(400))))
    assert places.shape == (800, 8, 16, 16)
    assert torch.equal(places[::2], places[1::2])  # the same for all frames of a clip
    right = (places[::2] == true).flatten(1).all(1).float().mean()
    none = (places[::2] == 0).flatten(1).all(1).float().mean()
    assert abs(right - 0.7) < 0.08 and abs(none - 0.2) < 0.06
    wrong = next(each for each in places if not torch.equal(each, true[0]) and each.any())
    assert torch.equal(wrong.flatten().sort().values, true.flatten().sort().values)  # moved
