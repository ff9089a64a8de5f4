"""What is in the makers' folders and where it goes in ours: plain data for `limpid.convert.convert`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from limpid.checkpoints.renames import Rules
from limpid.convert import dc_vsr_configs as svd_configs
from limpid.convert import ldm_keys, official_names, unet_keys, vae_keys
from limpid.convert.official_configs import (
    CFW_VAE_CONFIG,
    DIFFVSR_UNET_CONFIG,
    DIFFVSR_VAE_CONFIG,
    MGLD_SCHEDULER_CONFIG,
    SCHEDULES,
    SD21_UNET_CONFIG,
    SD21_VAE_CONFIG,
    SD_UNET_CONFIG,
    SD_VAE_CONFIG,
    STRUCTURED_UNET_CONFIG,
    UNET_CONFIG,
    VAE_CONFIG,
    VIDEO_VAE_CONFIG,
)
from limpid.networks.by_name import Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkPart:
    """One network."""

    folder: str
    """In the converted folder."""
    kind: Kind
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
    base: str | None = None
    """Entry of the manifest whose folder has what these files lack: text encoder, tokenizer and schedules mostly."""
    base_folder: str = "upscaler4x"
    """What that folder is called beside the makers' files."""
    schedules: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: SCHEDULES)
    """Folder -> what is assumed where the makers have no configuration of that name."""
    fixed_schedules: bool = False
    """The released code has its schedule written in: whatever a base folder says is not looked at."""
    predicts: str = "v_prediction"
    text: bool = True
    """Whether the method is told a text, and so has an encoder and a tokenizer."""
    image_encoder: bool = False
    """Whether there is an encoder of pictures, which need not be there."""
    text_file: str | None = None
    """File that holds the text encoder in OpenCLIP's form, for when there is no folder of it."""


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

MGLD_UNET = NetworkPart(
    folder="unet",
    kind="structured_unet",
    files=("mgldvsr_unet.ckpt",),
    config="mgldvsr_unet.json",
    default_config=STRUCTURED_UNET_CONFIG,
    rules=ldm_keys.MGLD_UNET,
    names=official_names.MGLD_UNET,
)
MGLD_VAE = NetworkPart(
    folder="vae",
    kind="cfw_vae",
    files=("video_vae_cfw.ckpt",),
    config="video_vae_cfw.json",
    default_config=CFW_VAE_CONFIG,
    rules=vae_keys.MGLD_VAE,
    names=official_names.MGLD_VAE,
)
SD21_UNET = NetworkPart(
    folder="unet",
    kind="sd_unet",
    files=("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin"),
    config="unet/config.json",
    default_config=SD21_UNET_CONFIG,
    rules=(),
    names=(),
)
SD21_VAE = replace(SD_VAE, kind="sd_vae", default_config=SD21_VAE_CONFIG)

DC_VSR_UNET = NetworkPart(
    folder="unet",
    kind="svd_unet",
    files=("unet_ema/diffusion_pytorch_model.safetensors",),
    config="unet_ema/config.json",
    default_config=svd_configs.UNET,
    rules=(),
    names=(),
)
SVD_UNET = replace(
    DC_VSR_UNET,
    files=("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors"),
    config="unet/config.json",
)
SVD_VAE = NetworkPart(
    folder="vae",
    kind="svd_vae",
    files=("vae/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.fp16.safetensors"),
    config="vae/config.json",
    default_config=svd_configs.VAE,
    rules=(),
    names=(),
)

RECIPES: dict[str, Recipe] = {
    "upscale-a-video": Recipe(networks=(UAV_UNET, UAV_VAE, UAV_VIDEO_VAE), flow="propagator/raft-things.pth"),
    "diffvsr": Recipe(networks=(DIFFVSR_UNET, DIFFVSR_VAE), base="sd-x4-upscaler"),
    "lavie-vsr": Recipe(networks=(LAVIE_UNET, SD_VAE), base="sd-x4-upscaler"),
    "sd-x4-upscaler": Recipe(networks=(SD_UNET, SD_VAE)),
    "mgld-vsr": Recipe(
        networks=(MGLD_UNET, MGLD_VAE),
        flow="raft-things.pth",
        base="sd-2-1-base",
        base_folder="stable-diffusion-2-1-base",
        schedules={"scheduler": MGLD_SCHEDULER_CONFIG},
        fixed_schedules=True,
        predicts="epsilon",
        text_file="mgldvsr_unet.ckpt",
    ),
    "sd-2-1-base": Recipe(
        networks=(SD21_UNET, SD21_VAE),
        schedules={"scheduler": MGLD_SCHEDULER_CONFIG},
        fixed_schedules=True,
        predicts="epsilon",
    ),
    "dc-vsr": Recipe(networks=(DC_VSR_UNET, SVD_VAE), base="svd", schedules={}, text=False, image_encoder=True),
    "svd": Recipe(networks=(SVD_UNET, SVD_VAE), schedules={}, text=False, image_encoder=True),
    "raft-things": Recipe(networks=(), flow="raft-things.pth"),
    "raft-large": Recipe(networks=(), flow="raft_large_C_T_V1-22a6c225.pth"),
}
