"""The transformer of a U-Net block: attention in space, to the text, over time, and a feed-forward network."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from limpid.networks.temporal.attention import TemporalAttention
from limpid.networks.temporal.diffvsr_multi_scale import CoarseTemporalAttention
from limpid.networks.temporal.layout import as_maps, as_tokens, channels_last
from limpid.networks.temporal.norm import NormScope, WindowGroupNorm
from limpid.networks.temporal.positions import FramePositions
from limpid.networks.temporal.resnet import ResnetBlock

FEED_FORWARD_TOKENS = 4096
"""Tokens that the feed-forward network takes at a time: it needs eight times their memory."""


class SpatialAttentionProcessor:
    """Processor of plain attention for diffusers' ``Attention``, by the backend that ``set_attention_backend`` set."""

    _attention_backend: AttentionBackendName | None = None
    _parallel_config: Any = None

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """``hidden_states``: ``n q c``; ``encoder_hidden_states``: ``n k e``, the tokens themselves if None.

        ``attention_mask`` as torch's scaled_dot_product_attention takes it.
        """
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            to(x).unflatten(-1, (attn.heads, -1))
            for to, x in ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context))
        )
        backend = self._attention_backend or AttentionBackendName.NATIVE
        mixed = dispatch_attention_fn(
            q, k, v, attn_mask=attention_mask, backend=backend, parallel_config=self._parallel_config
        )
        out: Tensor = attn.to_out[0](mixed.flatten(-2))
        return out


def spatial_attention(channels: int, heads: int, cross_attention_dim: int | None) -> Any:
    """diffusers' ``Attention`` with our processor; ``cross_attention_dim`` None: the tokens attend to themselves."""
    return Attention(
        query_dim=channels,
        cross_attention_dim=cross_attention_dim,
        heads=heads,
        dim_head=channels // heads,
        processor=cast(Any, SpatialAttentionProcessor()),
    )


class GEGLU(nn.Module):
    """GEGLU: a linear map to twice the width, one half gated by the GELU of the other (Shazeer 2020)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * width)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return F.gelu(gate) * value if torch.is_grad_enabled() else F.gelu(gate).mul_(value)


class FeedForward(nn.Module):
    """Feed-forward network: GEGLU of four times the width, and back.

    It is computed in pieces, because its inside is the largest tensor of all.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.ModuleList([GEGLU(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels)])

    def forward(self, tokens: Tensor) -> Tensor:
        """``n m c`` to the same, a new tensor."""
        pieces = torch.split(tokens.flatten(0, 1), FEED_FORWARD_TOKENS)
        done = [self.net[2](self.net[0](piece)) for piece in pieces]
        return (done[0] if len(done) == 1 else torch.cat(done)).view_as(tokens)


class TransformerBlock(nn.Module):
    """A transformer block: attention to the picture or (``only_cross``) the text, to the text, over time; feed-forward.

    The coarse branch of MSTA, if there is one, starts from the same tokens as the attention over time.
    """

    def __init__(
        self, channels: int, heads: int, cross_attention_dim: int, *, only_cross: bool, temporal: bool, msta: bool
    ) -> None:
        super().__init__()
        self.only_cross = only_cross
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = spatial_attention(channels, heads, cross_attention_dim if only_cross else None)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = spatial_attention(channels, heads, cross_attention_dim)
        self.norm_temporal = nn.LayerNorm(channels) if temporal else None
        self.attn_temporal = TemporalAttention(channels, heads) if temporal else None
        self.coarse = CoarseTemporalAttention(channels, heads) if temporal and msta else None
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def forward(self, x: Tensor, text: Tensor, positions: FramePositions, size: tuple[int, int]) -> Tensor:
        """``x``: ``(b t) (h w) c``; ``text``: ``b n e``; ``size``: ``(h, w)``. A new tensor."""
        # in space, to the text, over time, each place by itself last
        if self.only_cross:
            x = self._to_text(self.attn1, self.norm1(x), text).add_(x)
        else:
            x = self.attn1(self.norm1(x)).add_(x)
        x = self._to_text(self.attn2, self.norm2(x), text).add_(x)
        if self.attn_temporal is not None and self.norm_temporal is not None:
            # h_ori = TA(norm(h)) + h, and with MSTA h' = h_ori + alpha UPConv(h_down) (DiffVSR Eq. 2 and 3)
            fine = self.attn_temporal(self.norm_temporal(x), positions).add_(x)
            x = fine if self.coarse is None else self.coarse(x, positions, size).add_(fine)
        out: Tensor = self.ff(self.norm3(x)).add_(x)
        return out

    def _to_text(self, attn: nn.Module, x: Tensor, text: Tensor) -> Tensor:
        """Attention to the text, one for all frames of a clip: as one long sequence, so that its keys are made once."""
        out: Tensor = attn(x.reshape(len(text), -1, x.shape[-1]), encoder_hidden_states=text)
        return out.view_as(x)


class SpatialTransformer(nn.Module):
    """The transformer of a level: maps to tokens, `TransformerBlock`, and back.

    Before that comes a residual block over time, if there are such.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        cross_attention_dim: int,
        *,
        groups: int,
        norm_scope: NormScope,
        only_cross: bool,
        temporal: bool,
        msta: bool,
    ) -> None:
        super().__init__()
        self.temporal_resnet = (
            ResnetBlock(channels, channels, time_channels=None, eps=1e-6, norm_scope=norm_scope, kernels=(3, 3))
            if temporal
            else None
        )
        self.norm = WindowGroupNorm(groups, channels, 1e-6, "frame")
        self.proj_in = nn.Linear(channels, channels)
        block = TransformerBlock(
            channels, heads, cross_attention_dim, only_cross=only_cross, temporal=temporal, msta=msta
        )
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, text: Tensor, positions: FramePositions) -> Tensor:
        """``x``: ``(b t) c h w`` channels_last; ``text``: ``b n e``. A new tensor."""
        if self.temporal_resnet is not None:
            x = self.temporal_resnet(x, positions.num_frames)
        size = (x.shape[2], x.shape[3])
        tokens = self.proj_in(as_tokens(self.norm(x)))
        for block in self.transformer_blocks:
            tokens = block(tokens, text, positions, size)
        return channels_last(as_maps(self.proj_out(tokens), *size).add_(x))
