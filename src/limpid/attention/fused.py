"""Attention with more keys, or with weaker weights, as calls of one fused kernel; no matrix of scores is built.

Queries are ``n h q d``, keys and values ``n h k d``: batch (frames), heads, tokens, channels of a head.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

EXTENDED_BYTES = 256 << 20
"""Most bytes of keys and values with others appended, which are copies: frames are taken so many at a time."""
SCORE_BYTES = 64 << 20
"""Most bytes of scores that `column_sums` holds at once."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Plain attention: ``softmax(q k^T / sqrt(d)) v`` (DC-VSR Eq. 1)."""
    return F.scaled_dot_product_attention(q, k, v)


def attend_with_more(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    more_k: Tensor,
    more_v: Tensor,
    attend: Callable[[Tensor, Tensor, Tensor], Tensor] = attend,
    limit_bytes: int = EXTENDED_BYTES,
) -> Tensor:
    """Attention to the layer's own keys and to others after them (DC-VSR Eq. 2).

    ``more_k, more_v``: ``m h l d``, on any device, where each of the ``m`` serves ``n / m`` frames that follow each
    other: one per frame, or one per clip. The sum over both sets is one softmax; its order does not matter.
    """
    count, per = len(q), len(q) // len(more_k)
    more_k, more_v = more_k.to(q), more_v.to(q)
    row_bytes = 2 * (k[0].numel() + more_k[0].numel()) * k.element_size()
    at_once = max(1, min(count, limit_bytes // row_bytes))
    done = []
    for start in range(0, count, at_once):
        rows = slice(start, start + at_once)
        owner = torch.arange(start, min(start + at_once, count), device=q.device) // per
        # K^ and V^: the layer's own tokens, then those of the others
        longer_k = torch.cat((k[rows], more_k[owner]), dim=-2)
        longer_v = torch.cat((v[rows], more_v[owner]), dim=-2)
        done.append(attend(q[rows], longer_k, longer_v))
    return done[0] if len(done) == 1 else torch.cat(done)


def softened_queries(q: Tensor, k: Tensor, gamma: float) -> Tensor:
    """Queries for which attention is that of DC-VSR Eq. 7: divided by ``max(gamma^2 max|q| max|k|, 1)``.

    The maxima are those of one frame and head, never of the batch: what is computed of a frame must not depend on which
    frames it is batched with.
    """
    # max(gamma^2 q k, 1), with q and k the largest absolute values
    largest = (largest_absolute(q) * largest_absolute(k)).mul_(gamma**2).clamp_(min=1.0)
    return (q * largest.reciprocal()).to(q.dtype)


def largest_absolute(x: Tensor) -> Tensor:
    """The largest absolute value of each frame and head: ``n h tokens d`` -> ``n h 1 1``, float32, without a copy."""
    dims = (-2, -1)
    return torch.maximum(x.amax(dims, keepdim=True), -x.amin(dims, keepdim=True)).float()


def column_sums(q: Tensor, k: Tensor, limit_bytes: int = SCORE_BYTES) -> Tensor:
    """Column sums of the matrix of attention weights, mean over heads: how much each key is looked at.

    ``n h q d``, ``n h k d`` -> ``n k``, float32; 1 on average when there are as many queries as keys.

    Fused kernels do not tell their weights, so these are computed for a few queries at a time, and summed.
    """
    scale, tokens = q.shape[-1] ** -0.5, q.shape[-2]
    at_once = max(1, limit_bytes // (4 * q.shape[0] * q.shape[1] * k.shape[-2]))
    total = torch.zeros(len(k), k.shape[-2], device=k.device)
    for start in range(0, tokens, at_once):
        scores = (q[..., start : start + at_once, :] * scale) @ k.transpose(-1, -2)
        total += scores.float().softmax(dim=-1).sum(dim=-2).mean(dim=1)
    return total
