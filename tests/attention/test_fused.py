"""Attention through the fused kernel against attention written out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from limpid.attention.fused import attend, attend_with_more, column_sums, softened_queries

from .explicit import softmax_attention


def drawn(*shape: int, seed: int = 0, size: float = 1.0) -> Tensor:
    return size * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def projections(frames: int = 4, size: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """``size`` is that of queries and keys."""
    q, k = (drawn(frames, 2, 6, 4, seed=seed, size=size) for seed in (1, 2))
    return q, k, drawn(frames, 2, 6, 4, seed=3)


@pytest.mark.parametrize("owners", [1, 2, 4])
@pytest.mark.parametrize("limit_bytes", [1, 3000, 1 << 20])
def test_more_keys(owners: int, limit_bytes: int) -> None:
    """One set of keys per clip or per frame, and any number of frames at a time."""
    q, k, v = projections()
    more_k, more_v = drawn(owners, 2, 5, 4, seed=4), drawn(owners, 2, 5, 4, seed=5)
    each_k, each_v = (x.repeat_interleave(4 // owners, dim=0) for x in (more_k, more_v))
    expected = softmax_attention(q, torch.cat([k, each_k], dim=2), torch.cat([v, each_v], dim=2))
    close(attend_with_more(q, k, v, more_k, more_v, limit_bytes=limit_bytes), expected)


def test_the_same_keys_again_change_nothing() -> None:
    q, k, v = projections()
    close(attend_with_more(q, k, v, k, v), attend(q, k, v))


@given(gamma=st.floats(0.0, 1.0), size=st.sampled_from([0.3, 1.0, 6.0]))
def test_softened_attention_is_dc_vsr_equation_7(gamma: float, size: float) -> None:
    q, k, v = projections(size=size)
    close(attend(softened_queries(q, k, gamma), k, v), softmax_attention(q, k, v, gamma))


def test_without_gamma_attention_is_ordinary() -> None:
    q, k, _ = projections(size=5.0)
    assert torch.equal(softened_queries(q, k, 0.0), q)
    assert torch.equal(softened_queries(q / 20, k / 20, 1.0), q / 20), "maxima below 1 do nothing"


def test_softer_means_closer_to_the_mean() -> None:
    q, k, v = projections(size=3.0)
    distances = [
        float((attend(softened_queries(q, k, gamma), k, v) - v.mean(dim=-2, keepdim=True)).abs().mean())
        for gamma in (0.0, 0.3, 0.6, 1.0)
    ]
    assert distances == sorted(distances, reverse=True) and distances[-1] < 0.7 * distances[0]


def test_frames_do_not_depend_on_their_company() -> None:
    """The largest query of another frame must not soften this one."""
    q, k, _ = projections(size=3.0)
    loud = torch.cat([q[:1], 100 * q[1:]])
    assert torch.equal(softened_queries(loud, k, 1.0)[:1], softened_queries(q[:1], k[:1], 1.0))


@pytest.mark.parametrize("limit_bytes", [1, 700, 1 << 20])
def test_column_sums(limit_bytes: int) -> None:
    q, k, _ = projections(size=2.0)
    identity = torch.eye(6).expand(4, 2, 6, 6)
    weights = torch.stack([softmax_attention(q, k, identity[..., i : i + 1].expand(-1, -1, -1, 4)) for i in range(6)])
    expected = weights[..., 0].sum(dim=-1).mean(dim=-1).T
    actual = column_sums(q, k, limit_bytes=limit_bytes)
    close(actual, expected)
    close(actual.mean(), torch.tensor(1.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_number_formats_are_kept(dtype: torch.dtype) -> None:
    """The product of two maxima exceeds what float16 can hold."""
    q, k, v = (x.to(dtype) for x in projections(size=300.0))
    soft = softened_queries(q, k, 1.0)
    assert soft.dtype == dtype and bool(soft.isfinite().all())
    assert attend_with_more(soft, k, v, k.float(), v.float()).dtype == dtype
