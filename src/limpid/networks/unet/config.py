"""Configurations of U-Nets in the words of those who released them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {
    "in_channels": "in_channels",
    "out_channels": "out_channels",
    "layers_per_block": "layers_per_block",
    "attention_head_dim": "num_heads",
    "cross_attention_dim": "cross_attention_dim",
    "norm_num_groups": "norm_num_groups",
    "num_class_embeds": "num_noise_levels",
}
_FIXED: dict[str, Any] = {
    "act_fn": "silu",
    "attention_block_types": ("", ""),
    "center_input_sample": False,
    "class_embed_type": None,
    "downsample_2x": False,
    "downsample_padding": 1,
    "dual_cross_attention": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_scale_factor": 1,
    "mid_temporal": True,
    "norm_eps": 1e-5,
    "num_attention_heads": None,
    "use_first_frame": False,
    "use_linear_projection": True,
    "video_condition": False,
}
"""Entries that every released U-Net of this family has; absent ones are taken to be so."""
_FIXED_BRANCH: dict[str, Any] = {
    "controlnet_conditioning_channel_order": "rgb",
    "global_pool_conditions": False,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "transformer_layers_per_block": 1,
}
"""Entries of a ControlNet's configuration that only this one is known for."""
REQUIRED = ("block_out_channels", "attention_head_dim", "cross_attention_dim", "num_class_embeds")


def official_unet_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `TemporalUNet` for a configuration file of UAV, DiffVSR, LaVie, or of diffusers' image upscaler.

    The image upscaler gets ``temporal`` False; without ``num_class_embeds``, as in Stream-DiffVSR, it is not told how
    noised its input is. Raises ValueError when an entry is missing or asks for something that this network cannot do.
    """
    image = any(str(block).endswith("2D") for block in values.get("down_block_types", ()))
    options = _same_options({"num_class_embeds": None, **values}, "2D") if image else _same_options(values, "3D")
    return {
        **options,
        "msta": bool(values.get("msatten", False)),
        "temporal": not image,
        "norm_scope": "frame" if image else "window",
    }


def official_branch_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `PreviousFrameBranch` for a configuration file of diffusers' ``ControlNetModel``.

    Raises ValueError as `official_unet_config` does.
    """
    _expect(values, _FIXED_BRANCH)
    options = _same_options({"num_class_embeds": None, **values}, "2D")
    if options.pop("num_noise_levels") is not None:
        raise ValueError("the configuration of the branch asks for noise levels (num_class_embeds), which it has not")
    options.pop("out_channels", None)
    widths = values.get("conditioning_embedding_out_channels", (64, 128, 256))
    return {**options, "picture_channels": values.get("conditioning_channels", 3), "picture_widths": tuple(widths)}


def _same_options(values: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The options that all these networks have; ``kind``: how the names of their blocks end."""
    missing = [key for key in REQUIRED if key not in values]
    if missing:
        raise ValueError(f"the configuration of the U-Net lacks {', '.join(missing)}")
    levels = len(values["block_out_channels"])
    _check({**values, **values.get("temporal_module_config", {})}, levels, kind)
    crosses = values.get("only_cross_attention", False)
    return {
        **{ours: values[theirs] for theirs, ours in RENAMED.items() if theirs in values},
        "block_out_channels": tuple(values["block_out_channels"]),
        "only_cross_attention": (crosses,) * levels if isinstance(crosses, bool) else tuple(crosses),
    }


def _check(values: Mapping[str, Any], levels: int, kind: str) -> None:
    """Raises ValueError for the first entry that is not as it has to be."""
    expected = {
        **_FIXED,
        "down_block_types": (f"DownBlock{kind}", *[f"CrossAttnDownBlock{kind}"] * (levels - 1)),
        "up_block_types": (*[f"CrossAttnUpBlock{kind}"] * (levels - 1), f"UpBlock{kind}"),
        "down_temporal_idx": tuple(range(levels)),
        "up_temporal_idx": tuple(range(levels)),
    }
    _expect(values, expected)
    if not isinstance(values["attention_head_dim"], int):
        raise ValueError(f"attention_head_dim is {values['attention_head_dim']!r}; one number for all levels is needed")


def _expect(values: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for key, wanted in expected.items():
        found = values.get(key, wanted)
        if (tuple(found) if isinstance(found, list) else found) != wanted:
            raise ValueError(f"the configuration of the U-Net says {key} = {found!r}; only {wanted!r} is known here")
