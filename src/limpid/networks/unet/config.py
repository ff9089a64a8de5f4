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
REQUIRED = ("block_out_channels", "attention_head_dim", "cross_attention_dim", "num_class_embeds")


def official_unet_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `TemporalUNet` for a configuration file of UAV, DiffVSR, LaVie, or of diffusers' image upscaler.

    The image upscaler gets ``temporal`` False. Raises ValueError when an entry is missing or asks for something that
    this network cannot do.
    """
    missing = [key for key in REQUIRED if key not in values]
    if missing:
        raise ValueError(f"the configuration of the U-Net lacks {', '.join(missing)}")
    levels = len(values["block_out_channels"])
    image = any(str(block).endswith("2D") for block in values.get("down_block_types", ()))
    _check({**values, **values.get("temporal_module_config", {})}, levels, "2D" if image else "3D")
    crosses = values.get("only_cross_attention", False)
    return {
        **{ours: values[theirs] for theirs, ours in RENAMED.items() if theirs in values},
        "block_out_channels": tuple(values["block_out_channels"]),
        "only_cross_attention": (crosses,) * levels if isinstance(crosses, bool) else tuple(crosses),
        "msta": bool(values.get("msatten", False)),
        "temporal": not image,
        "norm_scope": "frame" if image else "window",
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
    for key, wanted in expected.items():
        found = values.get(key, wanted)
        if (tuple(found) if isinstance(found, list) else found) != wanted:
            raise ValueError(f"the configuration of the U-Net says {key} = {found!r}; only {wanted!r} is known here")
    if not isinstance(values["attention_head_dim"], int):
        raise ValueError(f"attention_head_dim is {values['attention_head_dim']!r}; one number for all levels is needed")
