"""Changing what self-attention layers compute, for as long as a ``with`` block runs.

A layer is diffusers' ``Attention``, or one that is used like it: projections ``to_q``, ``to_k``, ``to_v``, ``to_out``,
a number of ``heads``, and a ``processor`` that does the computing. Only the processor is exchanged, so layers that are
moved to the device and away again while the network runs (offloading by hooks) work as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from limpid.attention.fused import attend
from limpid.types import SettingsError

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""An attention: queries ``n h q d``, keys and values ``n h k d`` -> what the queries found, ``n h q d``."""
Change = Callable[[Tensor, Tensor, Tensor, Attend], Tensor]
"""A change to attention: an `Attend` with what would be done otherwise as its fourth argument.

The layer's own keys come first, others after."""

PLAIN_PROCESSORS = ("AttnProcessor", "AttnProcessor2_0", "SpatialAttentionProcessor")
"""Processors whose result is plain attention, which therefore can be exchanged; by name, to import no large library."""
FOREIGN_PARTS = ("spatial_norm", "group_norm", "norm_cross", "add_k_proj", "residual_connection")
"""Parts that a layer may have besides plain self-attention; the library's processors differ in how they treat them."""


@contextmanager
def changed_attention(changes: Sequence[tuple[str, nn.Module, Change]]) -> Iterator[None]:
    """A ``with`` block inside which every layer ``(name, layer, change)`` computes what its change says.

    Blocks nest: the change of the inner block sees the projections first, and its ``attend`` is the outer one's. So
    keys that one appends (`limpid.consistency.attention_propagation`) are weighted by the other
    (`limpid.guidance.dssag`). What was found is put back also when the block raises. Nothing is changed when one of
    the layers is refused.

    Raises:
        SettingsError: a layer is not plain self-attention; the sentence names it and says why.
    """
    for name, layer, _ in changes:
        check_patchable(name, layer)
    found: list[tuple[Any, Any]] = []
    try:
        for _, layer, change in changes:
            here: Any = layer
            found.append((here, here.processor))
            before = here.processor.changes if isinstance(here.processor, ChangedProcessor) else ()
            here.processor = ChangedProcessor((change, *before))
        yield
    finally:
        for layer, processor in reversed(found):
            layer.processor = processor


@dataclass(frozen=True)
class ChangedProcessor:
    """A processor that projects tokens, has ``changes`` attend, the first of them outermost, and projects back."""

    changes: tuple[Change, ...]

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """``hidden_states``: ``n tokens c``. Raises ValueError for a text to attend to, or a mask."""
        if encoder_hidden_states is not None or attention_mask is not None:
            raise ValueError("a patched self-attention was given a mask or other tokens to attend to")
        # Q, K and V; what the changes make of them; the layer's last projection
        q, k, v = (split(to(hidden_states), attn.heads) for to in (attn.to_q, attn.to_k, attn.to_v))
        q, k = normed(attn, "norm_q", q), normed(attn, "norm_k", k)
        mixed = self.attend(q, k, v).transpose(1, 2).flatten(-2)
        for part in attn.to_out:
            mixed = part(mixed)
        return mixed

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if not self.changes:
            return attend(q, k, v)
        return self.changes[0](q, k, v, ChangedProcessor(self.changes[1:]).attend)


def split(tokens: Tensor, heads: int) -> Tensor:
    """Tokens split into heads: ``n tokens (h d)`` -> ``n h tokens d``, a view."""
    return tokens.view(*tokens.shape[:-1], heads, -1).transpose(1, 2)


def normed(attn: Any, name: str, x: Tensor) -> Tensor:
    norm: Callable[[Tensor], Tensor] | None = getattr(attn, name, None)
    return x if norm is None else norm(x)


def check_patchable(name: str, layer: Any) -> None:
    """Raises SettingsError unless the layer is plain self-attention; see `PLAIN_PROCESSORS`, `FOREIGN_PARTS`."""
    kind = type(getattr(layer, "processor", None)).__name__
    missing = [part for part in ("to_q", "to_k", "to_v", "to_out", "heads", "processor") if not hasattr(layer, part)]
    foreign = [part for part in FOREIGN_PARTS if getattr(layer, part, None) not in (None, False)]
    if missing:
        reason = f"it has no {missing[0]}"
    elif kind not in (*PLAIN_PROCESSORS, ChangedProcessor.__name__):
        reason = f"its processor is {kind}; set one of {', '.join(PLAIN_PROCESSORS)}"
    elif foreign or getattr(layer, "rescale_output_factor", 1.0) != 1.0:
        reason = f"it has a {foreign[0] if foreign else 'rescale_output_factor'}"
    elif getattr(layer, "is_cross_attention", False):
        reason = "it attends to a text"
    else:
        return
    raise SettingsError(f"attention of the layer {name} cannot be changed: {reason}")
