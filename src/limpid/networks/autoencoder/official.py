"""Configurations of the autoencoders in the words of those who released them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEPT = (
    "in_channels",
    "out_channels",
    "latent_channels",
    "block_out_channels",
    "layers_per_block",
    "norm_num_groups",
    "scaling_factor",
)


def official_vae_config(values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """``(class name, configuration)`` for a configuration file of UAV, DiffVSR, Stream-DiffVSR or of diffusers'
    ``AutoencoderKL``.

    Raises ValueError for an autoencoder of another kind.
    """
    if "num_decoder_blocks" in values:
        return "PreviousFrameVAE", _small_vae_config(values)
    kept = {key: values[key] for key in KEPT if key in values}
    kept.setdefault("scaling_factor", 0.08333)
    kept["block_out_channels"] = tuple(values["block_out_channels"])
    name, blocks = str(values.get("_class_name", "")), tuple(values.get("up_block_types", ()))
    if not blocks:
        # Only the temporal decoder has no kinds of up blocks to choose from.
        return "TemporalVAE", kept
    if all(block == "UpDecoderBlock2D" for block in blocks):
        return "UpscalerVAE", {**kept, "norm_scope": "frame"}
    if not all(block in ("UpDecoderBlock3D", "UpDecoderBlock3D_plus") for block in blocks):
        raise ValueError(f"{name or 'this autoencoder'} has blocks that are not known: {', '.join(blocks)}")
    video = {
        "temporal_decoder": all(block == "UpDecoderBlock3D_plus" for block in blocks),
        "lr_condition": bool(values.get("condition_img", False)),
        "lr_channels": int(values.get("condition_channels", 128)),
        "norm_scope": "window",
    }
    return "UpscalerVAE", {**kept, **video}


def _small_vae_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `PreviousFrameVAE`: an autoencoder of plain blocks, as many channels on all levels."""
    widths = {*values["encoder_block_out_channels"], *values["decoder_block_out_channels"]}
    if len(widths) != 1:
        raise ValueError(f"the levels of the autoencoder have {sorted(widths)} channels; only one width is known here")
    for key, wanted in {"act_fn": "relu", "upsample_fn": "nearest", "upsampling_scaling_factor": 2}.items():
        if values.get(key, wanted) != wanted:
            raise ValueError(f"the configuration of the autoencoder says {key} = {values[key]!r}, not {wanted!r}")
    same = ("in_channels", "out_channels", "latent_channels", "scaling_factor")
    return {
        **{key: values[key] for key in same if key in values},
        "width": widths.pop(),
        "encoder_blocks": tuple(values["num_encoder_blocks"]),
        "decoder_blocks": tuple(values["num_decoder_blocks"]),
    }
