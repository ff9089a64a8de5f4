"""Attention propagated between spatial and temporal tiles (DC-VSR sections 3.1 and 3.2): SAP and TAP.

Both have the self-attention of a tile look at keys and values of other tiles too, which have seen other parts of the
video, so that tiles agree on what they invent. They take turns by step; see `AttentionPropagation`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from limpid.attention.fused import attend_with_more
from limpid.attention.layers import outer_layers, subsample, token_grid
from limpid.attention.patching import Attend, Change, changed_attention
from limpid.consistency.attention_bank import Kept, joined_keys, store
from limpid.method import Bank, Call, Phase, Prior
from limpid.types import Step

COLLECT, APPLY = Phase(name="collect", kept=False), Phase(name="apply")
"""Phases of SAP: all tiles of a temporal tile are run to collect their keys and values, and once more to use them."""
PROPAGATE = Phase(name="propagate")
"""The only phase of TAP: each temporal tile uses what the one before it left."""
_PLAIN = Phase(name="plain")


@dataclass(frozen=True, kw_only=True)
class AttentionPropagation:
    """An `AttentionPlan`: SAP in steps 0, 2, 4, ..., TAP in the others, forward in time in 1, 5, ..., backward in 3, 7.

    A step of SAP costs two network calls per tile; where a picture is one tile, it is a plain step. Keys and values are
    kept per layer and guidance branch, SAP's until the temporal tile is done, TAP's until the next temporal tile has
    used them. Nothing is propagated from segment to segment.
    """

    spatial_rate: float = 1 / 16
    """s_SAP, the share of a tile's tokens that stand for it, on a regular grid; 0 switches SAP off.

    The paper gives no number. 1/16 is every fourth token of every fourth row; since tiles overlap by half, a place is
    seen by up to four of them, so a quarter of the picture's tokens come together, and for 1080p (28 tiles) a query
    looks at 7168 keys besides the 4096 of its own tile, 2.75 times the work in four of the network's layers.
    """
    temporal_frames: int = 4
    """L, the frames that stand for a temporal tile (DC-VSR section 3.2); 0 switches TAP off."""
    first_layers: int = 2
    last_layers: int = 2
    """The self-attentions that see other tiles: so many from the network's input and output (DC-VSR section 3.1)."""
    device_bytes: int = 4 << 30
    """Most bytes of keys and values on the device; those beyond lie in the processor's memory. It changes no value."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.spatial_rate <= 1.0:
            raise ValueError(f"spatial_rate is {self.spatial_rate}; it must be 0 to 1")
        if self.temporal_frames < 0:
            raise ValueError(f"temporal_frames is {self.temporal_frames}; it must be 0 or more")

    def phases(self, step: Step, tiles: int) -> tuple[Phase, ...]:
        if step.index % 2 == 0:
            # a tile alone would be handed its own tokens, for twice the time
            return (COLLECT, APPLY) if self.spatial_rate and tiles > 1 else (_PLAIN,)
        return (PROPAGATE,) if self.temporal_frames else (_PLAIN,)

    def descending(self, step: Step) -> bool:
        return step.index % 4 == 3 and self.temporal_frames > 0

    def patch(self, prior: Prior, bank: Bank, call: Call) -> AbstractContextManager[None]:
        """The chosen self-attentions changed for one network call, as the phase asks: collect, apply or propagate.

        Raises SettingsError when the prior has no self-attention that can be changed.
        """
        if call.phase == _PLAIN:
            return nullcontext()
        layers = outer_layers(prior, self.first_layers, self.last_layers)
        make = {COLLECT: self._collect, APPLY: self._apply, PROPAGATE: self._propagate}[call.phase]
        return changed_attention([(name, layer, make(bank, call, name)) for name, layer in layers])

    def barrier(self, bank: Bank, step: Step, phase: Phase, window: int) -> None:
        """Tidies the bank after a phase of a temporal tile: SAP's tiles are joined, and after their use all of it goes.

        The tiles of each layer and guidance branch are joined in their order.
        """
        if phase == COLLECT:
            # K_{t,n}, V_{t,n}: the subsampled tokens of all spatial tiles m = 1 ... M
            for layer, branch in {address[:2]: None for address in bank}:
                tiles = sorted(a for a in bank if a[:2] == (layer, branch))
                whole = joined_keys([bank[a] for a in tiles])
                for address in tiles:
                    del bank[address]
                store(bank, (layer, branch, -1), whole, self.device_bytes)
        elif phase == APPLY:
            bank.clear()

    def _collect(self, bank: Bank, call: Call, layer: str) -> Change:
        """A change that keeps a regular grid of the tile's keys and values and attends as before (SAP, first pass)."""

        def change(q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
            # every 1 / s_SAP-th token of K_{t,m,n} and V_{t,m,n}
            size = token_grid(k.shape[-2], *call.shape[-2:])
            keys, values = (subsample(x, size, self.spatial_rate) for x in (k, v))
            store(bank, (layer, call.branch, call.tile), Kept(keys, values), self.device_bytes)
            return attend(q, k, v)

        return change

    def _apply(self, bank: Bank, call: Call, layer: str) -> Change:
        """A change by which a tile attends to itself and to tokens of all tiles (SAP, second pass; DC-VSR Eq. 2)."""

        def change(q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
            others: Kept = bank[(layer, call.branch, -1)]
            return attend_with_more(q, k, v, others.keys, others.values, attend)

        return change

    def _propagate(self, bank: Bank, call: Call, layer: str) -> Change:
        """A change by which the tile attends to itself and to the temporal tile before (TAP; DC-VSR Eq. 2)."""
        address = (layer, call.branch, call.tile)

        def change(q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
            # K'_{t,m,n-1} and V'_{t,m,n-1}; the first temporal tile has none before it
            before: Kept | None = bank.get(address)
            if before is None:
                out = attend(q, k, v)
            else:
                out = attend_with_more(q, k, v, before.keys, before.values, attend)
            # the L most detailed frames of this tile, for the next one
            keys, values = most_detailed(k, v, clips=call.shape[0], frames=self.temporal_frames)
            store(bank, address, Kept(keys, values), self.device_bytes)
            return out

        return change


def most_detailed(k: Tensor, v: Tensor, *, clips: int, frames: int) -> tuple[Tensor, Tensor]:
    """Keys and values of the ``frames`` frames whose keys deviate most: ``(b t) h tokens d`` -> ``b h (l tokens) d``.

    A clip of fewer frames gives all of them. They come in the order of time, ties go to the earlier one.
    """
    deviation = key_deviation(k).view(clips, -1)
    order = deviation.argsort(dim=1, descending=True, stable=True)[:, :frames]
    chosen = order.sort(dim=1).values
    clip = torch.arange(clips, device=k.device)[:, None]
    rows = clip * deviation.shape[1] + chosen
    keys, values = (x[rows].transpose(1, 2).flatten(2, 3) for x in (k, v))
    return keys, values


def key_deviation(k: Tensor) -> Tensor:
    """Standard deviation of the keys of each frame, by which TAP chooses frames: ``n h tokens d`` -> ``n``, float32.

    The paper says "the largest standard deviations". Here that is the deviation of each channel over the frame's
    tokens, mean over all channels: a vector that is added to all keys of a frame changes no attention weight in it, so
    it should not count, as it would in the deviation over all numbers.
    """
    return k.float().std(dim=-2, correction=0).mean(dim=(-2, -1))
