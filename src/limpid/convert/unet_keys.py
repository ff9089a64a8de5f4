"""How the tensors of released U-Nets are called here. Data only."""

from __future__ import annotations

from limpid.checkpoints.renames import Rules

_FREQUENCIES: Rules = ((r"^(?:.*\.)?freqs$", ""),)
"""Rotary frequencies: constants, saved once per attention layer and once more at the top; not read from files."""
_LAYERS: Rules = (
    (r"\.resblock_temporal\.", ".temporal_resnet."),
    (r"\.time_rel_pos_bias\.relative_attention_bias\.", ".position_bias."),
)

UAV_UNET_KEYS: Rules = (
    *_FREQUENCIES,
    *_LAYERS,
    (r"^(down|up)_temp_blocks\.", r"\1_temporal."),
    (r"^mid_temp_block\.", "mid_temporal."),
    (r"\.resblocks_3d_(temporal|spatial)\.", r".\1."),
)
"""``unet_video.bin``: ``UNetVideoModel``."""

LAVIE_UNET_KEYS: Rules = (
    *_FREQUENCIES,
    *_LAYERS,
    (r"^(down|up)_temporal_blocks\.", r"\1_temporal."),
    (r"^mid_temporal_block\.", "mid_temporal."),
    (r"\.resblocks_3d_t\.", ".temporal."),
    (r"\.resblocks_3d_s\.", ".spatial."),
    (r"\.attn_temporal_small\.", ".coarse.attn."),
    (r"\.norm_temporal_small\.", ".coarse.norm."),
    (r"\.temporal_(down|up)_conv\.", r".coarse.\1_conv."),
)
"""``lavie_vsr.pt`` and ``DiffVSR_UNet.pt``: ``UNet3DVSRModel``."""

SD_X4_UNET_KEYS: Rules = ()
"""diffusers' ``UNet2DConditionModel``: the layers of single pictures have the same names here."""
