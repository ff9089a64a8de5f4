"""What the makers' configurations say, for folders that have none of their own, and to make random weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNET_CONFIG: dict[str, Any] = {
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [256, 512, 512, 1024],
    "center_input_sample": False,
    "cross_attention_dim": 1024,
    "down_block_types": ["DownBlock3D", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D"],
    "up_block_types": ["CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "UpBlock3D"],
    "downsample_padding": 1,
    "dual_cross_attention": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 7,
    "out_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-5,
    "norm_num_groups": 32,
    "num_class_embeds": 1000,
    "only_cross_attention": [True, True, True, False],
    "sample_size": 128,
    "use_linear_projection": True,
    "down_temporal_idx": [0, 1, 2, 3],
    "mid_temporal": True,
    "up_temporal_idx": [0, 1, 2, 3],
    "temporal_module_config": {"attention_block_types": ["", ""]},
}
DIFFVSR_UNET_CONFIG: dict[str, Any] = {
    **UNET_CONFIG,
    "downsample_2x": False,
    "video_condition": False,
    "use_first_frame": False,
    "freeze_pretrained_2d_upsampler": False,
    "msatten": True,
}
VAE_CONFIG: dict[str, Any] = {
    "_class_name": "AutoencoderKL3D",
    "in_channels": 3,
    "out_channels": 3,
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512],
    "down_block_types": ["DownEncoderBlock3D"] * 3,
    "up_block_types": ["UpDecoderBlock3D"] * 3,
    "layers_per_block": 2,
    "latent_channels": 4,
    "norm_num_groups": 32,
    "sample_size": 256,
    "scaling_factor": 0.08333,
}
VIDEO_VAE_CONFIG: dict[str, Any] = {
    **VAE_CONFIG,
    "_class_name": "AutoencoderKLVideo",
    "up_block_types": ["UpDecoderBlock3D_plus"] * 3,
    "condition_img": True,
    "condition_channels": 128,
    "use_temporal_block": True,
}
DIFFVSR_VAE_CONFIG: dict[str, Any] = {
    "_class_name": "AutoencoderKLTemporalDecoder",
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [128, 256, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "layers_per_block": 2,
    "latent_channels": 4,
    "force_upcast": True,
    "sample_size": 320,
    "scaling_factor": 0.08333,
}
SD_UNET_CONFIG: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [256, 512, 512, 1024],
    "cross_attention_dim": 1024,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "in_channels": 7,
    "out_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "num_class_embeds": 1000,
    "only_cross_attention": [True, True, True, False],
    "sample_size": 128,
    "use_linear_projection": True,
}
SD_VAE_CONFIG: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [128, 256, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "layers_per_block": 2,
    "latent_channels": 4,
    "norm_num_groups": 32,
    "sample_size": 256,
    "scaling_factor": 0.08333,
}
TEXT_CONFIG: dict[str, Any] = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 77,
    "num_attention_heads": 16,
    "num_hidden_layers": 23,
    "projection_dim": 512,
    "vocab_size": 49408,
}
"""OpenCLIP ViT-H without its last layer, as the SD x4 upscaler uses it."""
SCHEDULER_CONFIG: dict[str, Any] = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
LOW_RES_CONFIG: dict[str, Any] = {
    "_class_name": "DDPMScheduler",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "num_train_timesteps": 1000,
}
"""Both as far as they are known from the papers; the makers' own files are used where they are there."""
SCHEDULE_CONFIGS: Mapping[str, Mapping[str, Any]] = {"scheduler": SCHEDULER_CONFIG, "low_res_scheduler": LOW_RES_CONFIG}
MGLD_VSR_SCHEDULER_CONFIG: dict[str, Any] = {
    "_class_name": "DDPMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
}
"""Noise schedule of Stable Diffusion 2.1 base, which MGLD-VSR keeps."""
MGLD_VSR_UNET_CONFIG: dict[str, Any] = {
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "head_channels": 64,
    "cross_attention_dim": 1024,
    "structure_channels": 256,
    "structure_block_channels": [256, 256, 512, 512],
    "structure_layers_per_block": 2,
    "structure_heads": 4,
}
MGLD_VSR_VAE_CONFIG: dict[str, Any] = {
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "scaling_factor": 0.18215,
}
SD21_UNET_CONFIG: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "attention_head_dim": [5, 10, 20, 20],
    "block_out_channels": [320, 640, 1280, 1280],
    "cross_attention_dim": 1024,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "sample_size": 64,
    "use_linear_projection": True,
}
"""U-Net of Stable Diffusion 2.1 base; what is called dimension is the number of heads."""
SD21_VAE_CONFIG: dict[str, Any] = {
    **SD_VAE_CONFIG,
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "sample_size": 768,
    "scaling_factor": 0.18215,
}
STREAM_DIFFVSR_UNET_CONFIG: dict[str, Any] = {**SD_UNET_CONFIG, "num_class_embeds": None}
"""The SD x4 upscaler's U-Net, which is not told how noised its input is."""
STREAM_DIFFVSR_BRANCH_CONFIG: dict[str, Any] = {
    **{
        key: value for key, value in STREAM_DIFFVSR_UNET_CONFIG.items() if key not in ("out_channels", "up_block_types")
    },
    "_class_name": "ControlNetModel",
    "conditioning_channels": 3,
    "conditioning_embedding_out_channels": [64, 128, 256],
    "controlnet_conditioning_channel_order": "rgb",
}
STREAM_DIFFVSR_VAE_CONFIG: dict[str, Any] = {
    "_class_name": "TemporalAutoencoderTiny",
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "encoder_block_out_channels": [64, 64, 64],
    "decoder_block_out_channels": [64, 64, 64],
    "num_encoder_blocks": [1, 3, 3],
    "num_decoder_blocks": [3, 3, 1],
    "act_fn": "relu",
    "upsample_fn": "nearest",
    "upsampling_scaling_factor": 2,
    "scaling_factor": 1.0,
}
STREAM_DIFFVSR_SCHEDULER_CONFIG: dict[str, Any] = {
    **SCHEDULER_CONFIG,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "trailing",
}
"""As it was trained; the end points of the betas are not known, and taken to be those of the SD x4 upscaler."""
