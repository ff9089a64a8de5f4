"""What is in the makers' folders and where it goes in ours: plain data for `limpid.models.convert`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from limpid.checkpoints import unet_keys, vae_keys
from limpid.checkpoints.renames import Rules
from limpid.models import official_names


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkPart:
    """One network."""

    folder: str
    """In the converted folder."""
    kind: Literal["unet", "vae"]
    files: tuple[str, ...]
    """In the makers' folder; the first that is there is taken."""
    config: str
    default_config: Mapping[str, Any]
    """What the makers' config says, for folders that have none."""
    rules: Rules
    """From the makers' names of tensors to ours."""
    names: Rules
    """From ours to theirs."""
    temporal: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A set of weights."""

    networks: tuple[NetworkPart, ...]
    flow: str | None = None
    needs_base: bool = False


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

SD_UNET = NetworkPart(
    folder="unet",
    kind="unet",
    files=("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin"),
    config="unet/config.json",
    default_config=SD_UNET_CONFIG,
    rules=unet_keys.SD_X4_UNET,
    names=official_names.SD_X4_UNET,
    temporal=False,
)
SD_VAE = NetworkPart(
    folder="vae",
    kind="vae",
    files=("vae/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.bin"),
    config="vae/config.json",
    default_config=SD_VAE_CONFIG,
    rules=vae_keys.SD_X4_VAE,
    names=official_names.SD_X4_VAE,
)
UAV_UNET = NetworkPart(
    folder="unet",
    kind="unet",
    files=("unet/unet_video.bin",),
    config="unet/unet_video_config.json",
    default_config=UNET_CONFIG,
    rules=unet_keys.UAV_UNET,
    names=official_names.UAV_UNET,
)
UAV_VAE = NetworkPart(
    folder="vae",
    kind="vae",
    files=("vae/vae_3d.bin",),
    config="vae/vae_3d_config.json",
    default_config=VAE_CONFIG,
    rules=vae_keys.UAV_VAE_3D,
    names=official_names.UAV_VAE,
)
UAV_VIDEO_VAE = NetworkPart(
    folder="video_vae",
    kind="vae",
    files=("vae/vae_video.bin",),
    config="vae/vae_video_config.json",
    default_config=VIDEO_VAE_CONFIG,
    rules=vae_keys.UAV_VAE_VIDEO,
    names=official_names.UAV_VAE,
)
DIFFVSR_UNET = NetworkPart(
    folder="unet",
    kind="unet",
    files=("DiffVSR_UNet.pt",),
    config="unet_3d_config.json",
    default_config=DIFFVSR_UNET_CONFIG,
    rules=unet_keys.LAVIE_UNET,
    names=official_names.LAVIE_UNET,
)
DIFFVSR_VAE = NetworkPart(
    folder="vae",
    kind="vae",
    files=("TE-3DVAE.pt",),
    config="vae_config.json",
    default_config=DIFFVSR_VAE_CONFIG,
    rules=vae_keys.DIFFVSR_VAE,
    names=official_names.DIFFVSR_VAE,
)
LAVIE_UNET = NetworkPart(
    folder="unet",
    kind="unet",
    files=("lavie_vsr.pt",),
    config="unet_3d_config.json",
    default_config=UNET_CONFIG,
    rules=unet_keys.LAVIE_UNET,
    names=official_names.LAVIE_UNET,
)

RECIPES: dict[str, Recipe] = {
    "upscale-a-video": Recipe(networks=(UAV_UNET, UAV_VAE, UAV_VIDEO_VAE), flow="propagator/raft-things.pth"),
    "diffvsr": Recipe(networks=(DIFFVSR_UNET, DIFFVSR_VAE), needs_base=True),
    "lavie-vsr": Recipe(networks=(LAVIE_UNET, SD_VAE), needs_base=True),
    "sd-x4-upscaler": Recipe(networks=(SD_UNET, SD_VAE)),
    "raft-things": Recipe(networks=(), flow="raft-things.pth"),
    "raft-large": Recipe(networks=(), flow="raft_large_C_T_V1-22a6c225.pth"),
}
