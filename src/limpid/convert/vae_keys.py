"""How the tensors of released autoencoders are called here. Data only."""

from __future__ import annotations

from limpid.checkpoints.renames import Rules

_LEVELS: Rules = (
    (r"\.downsamplers\.0\.conv\.", ".downsample."),
    (r"\.upsamplers\.0\.conv\.", ".upsample."),
)
_ATTENTION: Rules = (
    (r"\.mid_block\.attentions\.0\.", ".mid_block.attention."),
    (r"\.attention\.group_norm\.", ".attention.norm."),
    (r"\.attention\.(?:query|q)\.", ".attention.to_q."),
    (r"\.attention\.(?:key|k)\.", ".attention.to_k."),
    (r"\.attention\.(?:value|v)\.", ".attention.to_v."),
    (r"\.attention\.(?:proj_attn|proj_out|to_out\.0)\.", ".attention.to_out."),
)

SD_X4_VAE_KEYS: Rules = (*_LEVELS, *_ATTENTION)
"""diffusers' ``AutoencoderKL``, older files (query, key, value, proj_attn) and newer (to_q, to_k, to_v, to_out.0)."""

UAV_VAE_3D_KEYS: Rules = SD_X4_VAE_KEYS
"""``vae_3d.bin``."""

UAV_VAE_VIDEO_KEYS: Rules = (
    *SD_X4_VAE_KEYS,
    (r"\.norm_3d\.", ".temporal_norm."),
    (r"\.conv_3d\.", ".temporal_conv."),
    (r"^decoder\.condition_in\.", "condition.features."),
    (r"^decoder\.condition_fuse\.", "condition."),
)
"""``vae_video.bin``."""

DIFFVSR_VAE_KEYS: Rules = (
    *SD_X4_VAE_KEYS,
    (r"\.spatial_res_block\.", ".spatial."),
    (r"\.temporal_res_block\.", ".temporal."),
    (r"\.time_mixer\.mix_factor$", ".mix_factor"),
    (r"\.video_time_embed\.", ".time_embedding."),
    (r"\.time_mix_block\.", ".over_time."),
    (r"\.(ff|ff_in)\.net\.0\.proj\.", r".\1.proj_in."),
    (r"\.(ff|ff_in)\.net\.2\.", r".\1.proj_out."),
    (r"\.(attn[12])\.to_out\.0\.", r".\1.to_out."),
    (r"^decoder\.time_conv_out\.", "time_conv_out."),
)
"""``TE-3DVAE.pt``."""

MGLD_VSR_VAE_KEYS: Rules = (
    *((rf"^decoder\.up\.{level}\.", f"decoder.up_blocks.{3 - level}.") for level in range(4)),
    (r"^encoder\.down\.", "encoder.down_blocks."),
    (r"\.block\.(\d+)\.", r".resnets.\1."),
    (r"\.(down|up)sample\.conv\.", r".\1sample."),
    (r"\.nin_shortcut\.", ".conv_shortcut."),
    (r"\.norm_out\.", ".conv_norm_out."),
    (r"\.mid\.block_1\.", ".mid_block.resnets.0."),
    (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
    (r"\.mid\.attn_1\.", ".mid_block.attention."),
    (r"\.attention\.([qkv])\.", r".attention.to_\1."),
    (r"\.attention\.proj_out\.", ".attention.to_out."),
    (r"^decoder\.temporal_mixing\.", "decoder.mid_block.resnets.0.mixing."),
    (r"\.temporal_mixing\.(\d+)\.", r".resnets.\1.mixing."),
    (r"\.mixing\.temporal_", ".mixing."),
    (r"^decoder\.fusion_layer_(\d)\.", r"fusion.\1."),
    (r"\.encode_enc_1\.", ".first."),
    (r"\.encode_enc_2\.(\d)\.conv1\.", r".dense.\1.convs.0."),
    (r"\.encode_enc_2\.(\d)\.conv2\.", r".dense.\1.convs.1."),
    (r"\.encode_enc_2\.(\d)\.conv3\.", r".dense.\1.convs.2."),
    (r"\.encode_enc_2\.(\d)\.conv4\.", r".dense.\1.convs.3."),
    (r"\.encode_enc_2\.(\d)\.conv5\.", r".dense.\1.convs.4."),
    (r"\.encode_enc_3\.", ".last."),
    (r"\.first\.conv_out\.", ".first.conv_shortcut."),
    (r"^loss\..*", ""),
)
"""``video_vae_cfw.ckpt``; what its training needed besides (``loss.``) is dropped."""
