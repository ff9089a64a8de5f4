from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limpid.attention.layers import (
    middle_layer,
    outer_layers,
    sampled_positions,
    self_attentions,
    subsample,
    token_grid,
)
from limpid.types import SettingsError

from .explicit import AttentionStack


@given(count=st.integers(1, 200), rate=st.floats(0.001, 1.0))
def test_positions_are_evenly_spaced(count: int, rate: float) -> None:
    places = sampled_positions(count, rate)
    assert len(places) == max(1, round(count * rate**0.5))
    assert places == sorted(set(places)) and places[0] >= 0 and places[-1] < count
    gaps = {b - a for a, b in pairwise(places)}
    assert len(gaps) <= 2 and (not gaps or max(gaps) - min(gaps) <= 1)
    assert abs(places[0] - (count - 1 - places[-1])) <= 1, "as far from one end as from the other"


def test_a_sixteenth_is_every_fourth_of_every_fourth() -> None:
    assert sampled_positions(64, 1 / 16) == list(range(2, 64, 4))
    assert sampled_positions(5, 1.0) == [0, 1, 2, 3, 4]


def test_subsample_takes_tokens_of_a_regular_grid() -> None:
    tokens = torch.arange(8 * 4.0).reshape(1, 1, 32, 1)
    assert subsample(tokens, (8, 4), 1 / 4).flatten().tolist() == [r * 4 + c for r in (1, 3, 5, 7) for c in (1, 3)]
    assert torch.equal(subsample(tokens, (8, 4), 1.0), tokens)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (40, 24), (13, 7), (1, 1), (15, 90)])
def test_token_grids_of_all_levels(height: int, width: int) -> None:
    rows, columns = height, width
    for _ in range(4):
        assert token_grid(rows * columns, height, width) == (rows, columns)
        halved = torch.nn.Conv2d(1, 1, 3, stride=2, padding=1)(torch.zeros(1, 1, rows, columns))
        rows, columns = halved.shape[-2:]


def test_a_number_of_tokens_that_no_level_has() -> None:
    with pytest.raises(ValueError, match="17 tokens"):
        token_grid(17, 64, 64)


def test_outer_layers_are_each_there_once() -> None:
    def names(count: int) -> list[str]:
        return [name[-1] for name, _ in outer_layers(AttentionStack(count), 2, 2)]

    assert names(16) == ["0", "1", "4", "5"]  # of 14 and 15 the last digit
    assert [names(n) for n in (1, 3, 5)] == [["0"], ["0", "1", "2"], ["0", "1", "3", "4"]]
    assert middle_layer(AttentionStack(5))[0] == "mid.2"


def test_a_prior_without_self_attention_is_refused() -> None:
    prior: Any = object()
    with pytest.raises(SettingsError, match="no self-attention"):
        self_attentions(prior)
