"""Self-attention over time: every place of the picture attends to itself in the other frames of the window."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn
from torch import Tensor, nn

from limpid.networks.temporal.positions import FramePositions, RelativePositionBias, rotate

TAKES_A_BIAS = {
    AttentionBackendName.NATIVE,
    AttentionBackendName._NATIVE_EFFICIENT,
    AttentionBackendName._NATIVE_MATH,
    AttentionBackendName._NATIVE_CUDNN,
}
"""Backends of attention that add numbers to the scores; the others would refuse, so the native one stands in for
them."""
MAX_SEQUENCES = 65535
"""Most sequences that the memory-efficient kernel of CUDA takes in one call: the size of its grid."""


class TemporalAttentionProcessor:
    """Processor of attention over time, with rotary positions and a bias by distance where the layer has them.

    Its backend is chosen like that of other layers.
    """

    _attention_backend: AttentionBackendName | None = None
    _parallel_config: Any = None

    def __call__(self, attn: TemporalAttention, tokens: Tensor, positions: FramePositions) -> Tensor:
        """``tokens``: ``(b t) n c`` to the same."""
        # b n heads t d, read from the memory of (b t) n (heads d): no copy
        q, k, v = (
            to(tokens).unflatten(-1, (attn.heads, -1)).unflatten(0, (-1, positions.num_frames)).permute(0, 2, 3, 1, 4)
            for to in (attn.to_q, attn.to_k, attn.to_v)
        )
        bias = None
        if attn.position_bias is not None:
            q, k = rotate(q, positions), rotate(k, positions)
            bias = attn.position_bias(positions.buckets)
        clips = [self._attend(*one, bias) for one in zip(q, k, v, strict=True)]
        mixed = torch.stack(clips).flatten(-2).flatten(0, 1)
        out: Tensor = attn.to_out[0](mixed)
        return out

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        """Attention of one clip, ``n heads t d`` to ``t n heads d``, in as many calls as the kernels need."""
        chosen = self._attention_backend
        fits = chosen is not None and (bias is None or chosen in TAKES_A_BIAS)
        backend = chosen if fits else AttentionBackendName.NATIVE
        parts = [
            dispatch_attention_fn(*part, attn_mask=bias, backend=backend).transpose(0, 1)  # type: ignore[misc]
            for part in zip(*(torch.split(x.transpose(1, 2), MAX_SEQUENCES) for x in (q, k, v)), strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


class TemporalAttention(nn.Module, AttentionModuleMixin):
    """Multi-head self-attention over the frames of a window, for each place by itself.

    Not an instance of diffusers' ``Attention``, so that what is put into spatial attention layers does not come here.
    Without ``positions`` the order of the frames means nothing to it (as in MGLD-VSR).
    """

    _default_processor_cls = TemporalAttentionProcessor  # type: ignore[assignment]
    _available_processors = [TemporalAttentionProcessor]  # noqa: RUF012  (the mixin's way)
    _supports_qkv_fusion = False

    def __init__(self, channels: int, heads: int, *, positions: bool = True) -> None:
        super().__init__()
        if channels % (2 * heads):
            raise ValueError(f"{channels} channels do not make {heads} heads of an even width")
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(channels, channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])
        self.position_bias = RelativePositionBias(heads) if positions else None
        self.processor: Any = TemporalAttentionProcessor()

    def forward(self, tokens: Tensor, positions: FramePositions) -> Tensor:
        """``tokens``: ``(b t) n c`` to the same, a new tensor."""
        out: Tensor = self.processor(self, tokens, positions)
        return out
