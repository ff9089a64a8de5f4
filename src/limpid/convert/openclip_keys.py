"""OpenCLIP's text encoder, as latent diffusion stores it in its checkpoints, in the form of transformers.

What Stable Diffusion 2 uses is the output of the last layer but one; so the last layer is left out here, as in the
folders that its makers offer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from limpid.checkpoints.renames import Rules, rename
from limpid.types import WeightsError

PREFIX = "cond_stage_model.model."
HEAD_CHANNELS = 64
LAYER = re.compile(r"encoder\.layers\.(\d+)\.")
RULES: Rules = (
    (r"^token_embedding\.", "embeddings.token_embedding."),
    (r"^positional_embedding$", "embeddings.position_embedding.weight"),
    (r"^ln_final\.", "final_layer_norm."),
    (r"^transformer\.resblocks\.(\d+)\.", r"encoder.layers.\1."),
    (r"\.ln_([12])\.", r".layer_norm\1."),
    (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    (r"^(text_projection|logit_scale|attn_mask|visual\..*)$", ""),
)


def openclip_text(state: Mapping[str, Tensor], refusal: str) -> dict[str, Tensor]:
    """Names and tensors of transformers' ``CLIPTextModel``.

    Raises WeightsError, which begins with ``refusal``, when there are no layers of a text encoder in ``state``.
    """
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if key.startswith(PREFIX):
            _put(found, rename(key.removeprefix(PREFIX), RULES), tensor)
    layers = {int(match[1]) for name in found if (match := LAYER.search(name))}
    if len(layers) < 2:
        raise WeightsError(f"{refusal}; give the folder of the model that it was made from (--base)")
    last = f"encoder.layers.{max(layers)}."
    return {f"text_model.{name}": tensor for name, tensor in found.items() if not name.startswith(last)}


def _put(found: dict[str, Tensor], name: str, tensor: Tensor) -> None:
    """Queries, keys and values are one tensor there."""
    if ".attn.in_proj_" in name:
        begin, kind = name.split(".attn.in_proj_")
        for part, piece in zip("qkv", tensor.chunk(3), strict=True):
            found[f"{begin}.self_attn.{part}_proj.{kind}"] = piece
    elif name:
        found[name] = tensor


def text_config(tensors: Mapping[str, Tensor], known: Mapping[str, Any]) -> dict[str, Any]:
    """``known`` with the sizes that the tensors of `openclip_text` have."""
    words, width = tensors["text_model.embeddings.token_embedding.weight"].shape
    layers = {match[1] for name in tensors if (match := LAYER.search(name))}
    return {
        **known,
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": tensors["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "max_position_embeddings": tensors["text_model.embeddings.position_embedding.weight"].shape[0],
        "num_attention_heads": max(width // HEAD_CHANNELS, 1),
        "num_hidden_layers": len(layers),
    }
