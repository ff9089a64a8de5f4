"""The detail that training strengthens is what the metric counts."""

from __future__ import annotations

import numpy as np
import torch

from limpid.metrics.detail import detail
from limpid.train.losses.frequencies import beyond_lr


def test_what_an_lr_grid_cannot_carry_is_the_detail_of_the_metric() -> None:
    y = np.random.default_rng(0).uniform(0, 255, (64, 96))
    made, wanted = beyond_lr(torch.from_numpy(y)[None, None], 4)[0, 0].numpy(), detail(y)
    inside = (slice(8, -8), slice(8, -8))  # at the edges both continue the picture in ways of their own
    assert np.abs(made - wanted)[inside].max() < 0.02 * wanted.std()
    assert not beyond_lr(torch.full((1, 3, 32, 32), 0.3), 4).abs().gt(1e-6).any()
