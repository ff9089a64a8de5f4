"""Layers are changed inside the block, restored after it, and refused where that would change their meaning."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.models import attention_processor as processors
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from limpid.attention.patching import Attend, Change, changed_attention
from limpid.networks.unet.transformer import spatial_attention
from limpid.types import SettingsError


def layer(**options: Any) -> Attention:
    torch.manual_seed(1)
    return Attention(**{"query_dim": 8, "heads": 2, "dim_head": 4, **options}).eval()


def tokens() -> Tensor:
    return torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(2))


def plain(q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
    return attend(q, k, v)


def doubled(q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
    return 2 * attend(q, k, v)


@pytest.mark.parametrize("options", [{}, {"bias": True, "out_bias": False}, {"qk_norm": "layer_norm"}])
@torch.no_grad()
def test_a_change_that_does_nothing(options: dict[str, Any]) -> None:
    attention, x = layer(**options), tokens()
    before = attention(x)
    with changed_attention([("a", attention, plain)]):
        torch.testing.assert_close(attention(x), before)


@torch.no_grad()
def test_our_own_layers_and_the_oldest_processor_can_be_changed() -> None:
    ours, x = spatial_attention(8, 2, None), tokens()
    oldest = layer(processor=processors.AttnProcessor())
    for attention in (ours, oldest):
        before = attention(x)
        with changed_attention([("a", attention, plain)]):
            torch.testing.assert_close(attention(x), before)


@torch.no_grad()
def test_the_inner_change_sees_the_projections_first() -> None:
    attention, order = layer(), []

    def noting(name: str) -> Change:
        def change(q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
            order.append((name, k.shape[-2]))
            return attend(q, torch.cat([k, k], dim=-2), torch.cat([v, v], dim=-2))

        return change

    before = attention(tokens())
    with changed_attention([("a", attention, noting("outer"))]), changed_attention([("a", attention, noting("inner"))]):
        torch.testing.assert_close(attention(tokens()), before)
    assert order == [("inner", 6), ("outer", 12)]


def test_what_was_there_is_back_after_any_failure() -> None:
    first, second = layer(), layer()
    found = first.processor, second.processor
    with pytest.raises(RuntimeError, match="midway"), changed_attention([("a", first, plain), ("b", second, plain)]):
        with changed_attention([("a", first, doubled)]):
            assert first.processor not in found
        raise RuntimeError("midway")
    assert (first.processor, second.processor) == found


@torch.no_grad()
def test_a_layer_named_twice_comes_back_too() -> None:
    attention = layer()
    found = attention.processor
    with changed_attention([("a", attention, plain), ("a", attention, doubled)]):
        pass
    assert attention.processor is found


class Strange:
    def __call__(self, attn: Any, hidden_states: Tensor) -> Tensor:
        return hidden_states


@pytest.mark.parametrize(
    ("attention", "reason"),
    [
        (nn.Linear(3, 3), "has no to_q"),
        (layer(processor=Strange()), "its processor is Strange"),
        (layer(cross_attention_dim=5), "attends to a text"),
        (layer(residual_connection=True), "has a residual_connection"),
        (layer(norm_num_groups=2), "has a group_norm"),
        (layer(rescale_output_factor=2.0), "has a rescale_output_factor"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_layers_are_refused_before_anything_is_changed(attention: nn.Module, reason: str) -> None:
    good = layer()
    found = good.processor
    refused = changed_attention([("good", good, plain), ("bad", attention, plain)])
    with pytest.raises(SettingsError, match=f"the layer bad .*{reason}"), refused:
        pass
    assert good.processor is found


@torch.no_grad()
def test_masks_and_texts_are_not_dropped_silently() -> None:
    attention = layer()
    with changed_attention([("a", attention, plain)]), pytest.raises(ValueError, match="mask"):
        attention(tokens(), encoder_hidden_states=tokens())


@torch.no_grad()
def test_layers_that_hooks_move_while_they_run() -> None:
    """Offloading replaces ``forward`` and hangs hooks on the projections; neither is touched."""
    attention, seen = layer(), []
    attention.to_q.register_forward_pre_hook(lambda *_: seen.append("q"))
    plain_forward = attention.forward

    def hooked(*args: Any, **kwargs: Any) -> Tensor:
        seen.append("on")
        return plain_forward(*args, **kwargs)

    attention.forward = hooked
    before = attention(tokens())
    with changed_attention([("a", attention, doubled)]):
        twice = attention(tokens())
    bias = attention.to_out[0].bias
    torch.testing.assert_close(twice - bias, 2 * (before - bias))
    assert seen == ["on", "q"] * 2 and attention.forward is hooked
