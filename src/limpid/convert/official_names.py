"""How our tensors are called in the makers' files: the tables of `limpid.checkpoints` read backwards.

Needed for random weights in their format. That both directions belong together is tested.
"""

from __future__ import annotations

from collections.abc import Iterable

from limpid.checkpoints.renames import Rules

_LEVELS: Rules = (
    (r"\.downsample\.", ".downsamplers.0.conv."),
    (r"\.upsample\.", ".upsamplers.0.conv."),
)
UAV_VAE_NAMES: Rules = (
    *_LEVELS,
    (r"\.temporal_norm\.", ".norm_3d."),
    (r"\.temporal_conv\.", ".conv_3d."),
    (r"^condition\.features\.", "decoder.condition_in."),
    (r"^condition\.", "decoder.condition_fuse."),
    (r"\.mid_block\.attention\.norm\.", ".mid_block.attentions.0.group_norm."),
    (r"\.mid_block\.attention\.to_q\.", ".mid_block.attentions.0.query."),
    (r"\.mid_block\.attention\.to_k\.", ".mid_block.attentions.0.key."),
    (r"\.mid_block\.attention\.to_v\.", ".mid_block.attentions.0.value."),
    (r"\.mid_block\.attention\.to_out\.", ".mid_block.attentions.0.proj_attn."),
)
SD_X4_VAE_NAMES: Rules = (
    *_LEVELS,
    (r"\.mid_block\.attention\.norm\.", ".mid_block.attentions.0.group_norm."),
    (r"\.mid_block\.attention\.to_out\.", ".mid_block.attentions.0.to_out.0."),
    (r"\.mid_block\.attention\.", ".mid_block.attentions.0."),
)
DIFFVSR_VAE_NAMES: Rules = (
    *_LEVELS,
    (r"\.(ff|ff_in)\.proj_in\.", r".\1.net.0.proj."),
    (r"\.(ff|ff_in)\.proj_out\.", r".\1.net.2."),
    (r"\.(attn[12])\.to_out\.", r".\1.to_out.0."),
    (r"\.time_embedding\.", ".video_time_embed."),
    (r"\.over_time\.", ".time_mix_block."),
    (r"^(decoder\..*\.resnets\.\d+)\.spatial\.", r"\1.spatial_res_block."),
    (r"^(decoder\..*\.resnets\.\d+)\.temporal\.", r"\1.temporal_res_block."),
    (r"^(decoder\..*\.resnets\.\d+)\.mix_factor$", r"\1.time_mixer.mix_factor"),
    (r"^(encoder\.mid_block)\.attention\.norm\.", r"\1.attentions.0.group_norm."),
    (r"^(encoder\.mid_block)\.attention\.to_out\.", r"\1.attentions.0.to_out.0."),
    (r"^(decoder\.mid_block)\.attention\.to_([qkv])\.", r"\1.attentions.0.\2."),
    (r"^(decoder\.mid_block)\.attention\.to_out\.", r"\1.attentions.0.proj_out."),
    (r"\.mid_block\.attention\.", ".mid_block.attentions.0."),
    (r"^time_conv_out\.", "decoder.time_conv_out."),
)

_LAYERS: Rules = (
    (r"\.temporal_resnet\.", ".resblock_temporal."),
    (r"\.position_bias\.", ".time_rel_pos_bias.relative_attention_bias."),
)
UAV_UNET_NAMES: Rules = (
    *_LAYERS,
    (r"^((?:down|up)_temporal\.\d+|mid_temporal)\.(temporal|spatial)\.", r"\1.resblocks_3d_\2."),
    (r"^(down|up)_temporal\.", r"\1_temp_blocks."),
    (r"^mid_temporal\.", "mid_temp_block."),
)
LAVIE_UNET_NAMES: Rules = (
    *_LAYERS,
    (r"^((?:down|up)_temporal\.\d+|mid_temporal)\.(t|s)(?:emporal|patial)\.", r"\1.resblocks_3d_\2."),
    (r"^(down|up)_temporal\.", r"\1_temporal_blocks."),
    (r"^mid_temporal\.", "mid_temporal_block."),
    (r"\.coarse\.attn\.", ".attn_temporal_small."),
    (r"\.coarse\.norm\.", ".norm_temporal_small."),
    (r"\.coarse\.(down|up)_conv\.", r".temporal_\1_conv."),
)
SD_X4_UNET_NAMES: Rules = ()

MGLD_VSR_VAE_NAMES: Rules = (
    (r"^fusion\.(\d)\.first\.conv_shortcut\.", r"fusion.\1.first.conv_out."),
    (r"^fusion\.(\d)\.first\.", r"decoder.fusion_layer_\1.encode_enc_1."),
    (r"^fusion\.(\d)\.last\.", r"decoder.fusion_layer_\1.encode_enc_3."),
    *(
        (rf"^fusion\.(\d)\.dense\.(\d)\.convs\.{n}\.", rf"decoder.fusion_layer_\1.encode_enc_2.\2.conv{n + 1}.")
        for n in range(5)
    ),
    (r"^decoder\.mid_block\.resnets\.0\.mixing\.", "decoder.temporal_mixing.temporal_"),
    (r"\.resnets\.(\d+)\.mixing\.", r".temporal_mixing.\1.temporal_"),
    (r"\.mid_block\.resnets\.0\.", ".mid.block_1."),
    (r"\.mid_block\.resnets\.1\.", ".mid.block_2."),
    (r"\.resnets\.(\d+)\.", r".block.\1."),
    (r"\.down_blocks\.", ".down."),
    *((rf"\.up_blocks\.{level}\.", f".up.{3 - level}.") for level in range(4)),
    (r"\.(down|up)sample\.", r".\1sample.conv."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
    (r"\.conv_norm_out\.", ".norm_out."),
    (r"\.mid_block\.attention\.to_([qkv])\.", r".mid.attn_1.\1."),
    (r"\.mid_block\.attention\.to_out\.", ".mid.attn_1.proj_out."),
    (r"\.mid_block\.attention\.", ".mid.attn_1."),
)

_GATES: Rules = (
    (r"^(gru\d)\.update\.", r"\1.z."),
    (r"^(gru\d)\.reset\.", r"\1.r."),
    (r"^(gru\d)\.candidate\.", r"\1.q."),
)
_SHORTCUT: Rules = (
    (r"\.stage(\d)\.", r".layer\1."),
    (r"\.shortcut\.", ".downsample.0."),
    (r"\.shortcut_norm\.", ".downsample.1."),
)
RAFT_PRINCETON_NAMES: Rules = (
    *_GATES,
    *_SHORTCUT,
    (r"^(features|context)\.stem\.", r"\1.conv1."),
    (r"^(features|context)\.stem_norm\.", r"\1.norm1."),
    (r"^(features|context)\.head\.", r"\1.conv2."),
    (r"^features\.", "fnet."),
    (r"^context\.", "cnet."),
    (r"^motion\.correlation(\d)\.", r"update_block.encoder.convc\1."),
    (r"^motion\.flow(\d)\.", r"update_block.encoder.convf\1."),
    (r"^motion\.joint\.", "update_block.encoder.conv."),
    (r"^gru(\d)\.([zrq])\.", r"update_block.gru.conv\2\1."),
    (r"^flow_head\.", "update_block.flow_head."),
    (r"^mask_head\.conv1\.", "update_block.mask.0."),
    (r"^mask_head\.conv2\.", "update_block.mask.2."),
)
RAFT_TORCHVISION_NAMES: Rules = (
    *_GATES,
    *_SHORTCUT,
    (r"\.(layer\d\.\d)\.conv(\d)\.", r".\1.convnormrelu\2.0."),
    (r"\.(layer\d\.\d)\.norm(\d)\.", r".\1.convnormrelu\2.1."),
    (r"^(features|context)\.stem\.", r"\1.convnormrelu.0."),
    (r"^(features|context)\.stem_norm\.", r"\1.convnormrelu.1."),
    (r"^(features|context)\.head\.", r"\1.conv."),
    (r"^features\.", "feature_encoder."),
    (r"^context\.", "context_encoder."),
    (r"^motion\.correlation(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
    (r"^motion\.flow(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
    (r"^motion\.joint\.", "update_block.motion_encoder.conv.0."),
    (r"^gru(\d)\.([zrq])\.", r"update_block.recurrent_block.convgru\1.conv\2."),
    (r"^flow_head\.", "update_block.flow_head."),
    (r"^mask_head\.conv1\.", "mask_predictor.convrelu.0."),
    (r"^mask_head\.conv2\.", "mask_predictor.conv."),
)


def frequencies(names: Iterable[str]) -> list[str]:
    """Names of the rotary embedding's frequencies beside the official names ``names``.

    The makers store them once per temporal attention and once at the top; here they are computed.
    """
    places = [name.removesuffix("to_q.weight") for name in names if name.endswith("to_q.weight")]
    found = [f"{place}rotary_emb.freqs" for place in places if ".attn_temporal" in place]
    return [*found, "temporal_rotary_emb.freqs"] if found else []
