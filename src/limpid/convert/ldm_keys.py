"""How the tensors of latent diffusion's U-Nets (``input_blocks.1.0.in_layers.0``) are called here, and back.

Their blocks are numbered through, so a table belongs to a number of residual blocks per level. Data only.
"""

from __future__ import annotations

import re

from limpid.checkpoints.renames import Rules

Pairs = tuple[tuple[str, str], ...]
"""(their beginning of a name, ours)."""
_LEVELS = range(4)

_ENDS: Pairs = (
    ("time_embed.0.", "time_embedding.linear_1."),
    ("time_embed.2.", "time_embedding.linear_2."),
    ("input_blocks.0.0.", "conv_in."),
    ("out.0.", "conv_norm_out."),
    ("out.2.", "conv_out."),
)
_IMAGE_MIDDLE: Pairs = (
    ("middle_block.0.", "mid_block.resnets.0."),
    ("middle_block.1.", "mid_block.attentions.0."),
    ("middle_block.2.", "mid_block.resnets.1."),
)
_TEMPORAL_MIDDLE: Pairs = (
    ("middle_block.0.", "mid_block.resnets.0."),
    ("middle_block.1.temporal_", "mid_block.temporal_convs.0."),
    ("middle_block.2.", "mid_block.attentions.0."),
    ("middle_block.3.temporal_alpha", "mid_block.temporal_attention.alpha"),
    ("middle_block.3.temporal_attn.", "mid_block.temporal_attention.attn."),
    ("middle_block.3.norm.", "mid_block.temporal_attention.norm."),
    ("middle_block.4.", "mid_block.resnets.1."),
    ("middle_block.5.temporal_", "mid_block.temporal_convs.1."),
)
"""Layers over time lie between those of the image model, which therefore have other numbers here than there."""
_STRUCTURE_ENDS: Pairs = (
    ("middle_block.0.", "middle.resnets.0."),
    ("middle_block.1.", "middle.attentions.0."),
    ("middle_block.2.", "middle.resnets.1."),
    ("fea_tran.", "outs."),
)
_INSIDE: Pairs = (
    ("in_layers.0.", "norm1."),
    ("in_layers.2.", "conv1."),
    ("emb_layers.1.", "time_emb_proj."),
    ("out_layers.0.", "norm2."),
    ("out_layers.3.", "conv2."),
    ("skip_connection.", "conv_shortcut."),
    ("spade.param_free_norm.", "spade.norm."),
    ("spade.mlp_shared.0.", "spade.shared."),
    ("spade.mlp_gamma.", "spade.gamma."),
    ("spade.mlp_beta.", "spade.beta."),
)
"""Names of layers inside residual blocks."""


def unet_pairs(layers: int = 2, *, temporal: bool = True) -> Pairs:
    """A U-Net with ``layers`` residual blocks per level: MGLD-VSR's, or (``temporal`` False) Stable Diffusion 2's."""
    up = layers + 1
    return (
        *_ENDS,
        *(_TEMPORAL_MIDDLE if temporal else _IMAGE_MIDDLE),
        *_down("down_blocks", layers),
        *((f"output_blocks.{up * i + n}.0.", f"up_blocks.{i}.resnets.{n}.") for i in _LEVELS for n in range(up)),
        *((f"output_blocks.{up * i + n}.1.", f"up_blocks.{i}.attentions.{n}.") for i in _LEVELS[1:] for n in range(up)),
        *((f"output_blocks.{up * i - 1}.{min(i, 2)}.", f"up_blocks.{i - 1}.upsamplers.0.") for i in _LEVELS[1:]),
    )


def structure_pairs(layers: int = 2) -> Pairs:
    """MGLD-VSR's structure encoder."""
    return (*_ENDS[:3], *_STRUCTURE_ENDS, *_down("levels", layers))


def _down(ours: str, layers: int) -> Pairs:
    """All levels but the last have attention."""
    return (
        *((_down_block(i, n, layers, 0), f"{ours}.{i}.resnets.{n}.") for i in _LEVELS for n in range(layers)),
        *((_down_block(i, n, layers, 1), f"{ours}.{i}.attentions.{n}.") for i in _LEVELS[:-1] for n in range(layers)),
        *((f"input_blocks.{i * (layers + 1)}.0.op.", f"{ours}.{i - 1}.downsamplers.0.conv.") for i in _LEVELS[1:]),
    )


def _down_block(level: int, n: int, layers: int, part: int) -> str:
    return f"input_blocks.{1 + level * (layers + 1) + n}.{part}."


def to_ours(pairs: Pairs, at: str = "", place: str = "") -> Rules:
    """Rules from their names, which begin with ``at``, to ours, which begin with ``place``."""
    inside = ((rf"((?:resnets|outs)\.\d+)\.{re.escape(theirs)}", rf"\1.{ours}") for theirs, ours in _INSIDE)
    return (*((f"^{re.escape(at + theirs)}", f"{place}{ours}") for theirs, ours in pairs), *inside)


def to_theirs(pairs: Pairs, at: str = "", place: str = "") -> Rules:
    """The opposite of `to_ours`."""
    inside = ((rf"((?:resnets|outs)\.\d+)\.{re.escape(ours)}", rf"\1.{theirs}") for theirs, ours in _INSIDE)
    return (*inside, *((f"^{re.escape(place + ours)}", f"{at}{theirs}") for theirs, ours in pairs))


LDM_UNET_PREFIX = "model.diffusion_model."
STRUCTURE = "structcond_stage_model."
_OTHERS: Rules = ((rf"^(?!{re.escape(LDM_UNET_PREFIX)}|{re.escape(STRUCTURE)}).*$", ""),)

MGLD_VSR_UNET_KEYS: Rules = (
    *_OTHERS,
    *to_ours(unet_pairs(), LDM_UNET_PREFIX),
    *to_ours(structure_pairs(), STRUCTURE, "structure."),
)
"""``mgldvsr_unet.ckpt``: denoiser and structure encoder; text encoder, image autoencoder, flow and constants of the
schedule, which are in it too, are dropped."""
MGLD_VSR_UNET_NAMES: Rules = (
    *to_theirs(structure_pairs(), STRUCTURE, "structure."),
    *to_theirs(unet_pairs(), LDM_UNET_PREFIX),
)
SD21_UNET_KEYS: Rules = (
    (rf"^(?!{re.escape(LDM_UNET_PREFIX)}).*$", ""),
    *to_ours(unet_pairs(temporal=False), LDM_UNET_PREFIX),
)
"""``v2-1_512-ema-pruned.ckpt``: the image model that MGLD-VSR is trained from."""
