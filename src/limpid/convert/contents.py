"""What is in the makers' folders and where it goes in ours: plain data for `limpid.convert.convert`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from limpid.checkpoints.renames import Rules
from limpid.convert import dc_vsr_configs as svd_configs
from limpid.convert import ldm_keys, official_names, unet_keys, vae_keys
from limpid.convert.official_configs import (
    DIFFVSR_UNET_CONFIG,
    DIFFVSR_VAE_CONFIG,
    MGLD_VSR_SCHEDULER_CONFIG,
    MGLD_VSR_UNET_CONFIG,
    MGLD_VSR_VAE_CONFIG,
    SCHEDULE_CONFIGS,
    SD21_UNET_CONFIG,
    SD21_VAE_CONFIG,
    SD_UNET_CONFIG,
    SD_VAE_CONFIG,
    STREAM_DIFFVSR_BRANCH_CONFIG,
    STREAM_DIFFVSR_SCHEDULER_CONFIG,
    STREAM_DIFFVSR_UNET_CONFIG,
    STREAM_DIFFVSR_VAE_CONFIG,
    UNET_CONFIG,
    VAE_CONFIG,
    VIDEO_VAE_CONFIG,
)
from limpid.networks.by_name import NetworkKind


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkPart:
    """One network."""

    folder: str
    """In the converted folder."""
    kind: NetworkKind
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
class Contents:
    """A set of weights."""

    networks: tuple[NetworkPart, ...]
    flow: tuple[str, ...] = ()
    """Files of a network for optical flow; the first that is there is taken."""
    base: str | None = None
    """Entry of the manifest whose folder has what these files lack: text encoder, tokenizer and schedules mostly."""
    base_folder: str = "upscaler4x"
    """What that folder is called beside the makers' files."""
    schedules: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: SCHEDULE_CONFIGS)
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


SD_X4_UNET_PART = NetworkPart(
    folder="unet",
    kind="unet",
    files=("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin"),
    config="unet/config.json",
    default_config=SD_UNET_CONFIG,
    rules=unet_keys.SD_X4_UNET_KEYS,
    names=official_names.SD_X4_UNET_NAMES,
    temporal=False,
)
SD_X4_VAE_PART = NetworkPart(
    folder="vae",
    kind="vae",
    files=("vae/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.bin"),
    config="vae/config.json",
    default_config=SD_VAE_CONFIG,
    rules=vae_keys.SD_X4_VAE_KEYS,
    names=official_names.SD_X4_VAE_NAMES,
)
UAV_UNET_PART = NetworkPart(
    folder="unet",
    kind="unet",
    files=("unet/unet_video.bin",),
    config="unet/unet_video_config.json",
    default_config=UNET_CONFIG,
    rules=unet_keys.UAV_UNET_KEYS,
    names=official_names.UAV_UNET_NAMES,
)
UAV_VAE_PART = NetworkPart(
    folder="vae",
    kind="vae",
    files=("vae/vae_3d.bin",),
    config="vae/vae_3d_config.json",
    default_config=VAE_CONFIG,
    rules=vae_keys.UAV_VAE_3D_KEYS,
    names=official_names.UAV_VAE_NAMES,
)
UAV_VIDEO_VAE_PART = NetworkPart(
    folder="video_vae",
    kind="vae",
    files=("vae/vae_video.bin",),
    config="vae/vae_video_config.json",
    default_config=VIDEO_VAE_CONFIG,
    rules=vae_keys.UAV_VAE_VIDEO_KEYS,
    names=official_names.UAV_VAE_NAMES,
)
DIFFVSR_UNET_PART = NetworkPart(
    folder="unet",
    kind="unet",
    files=("DiffVSR_UNet.pt",),
    config="unet_3d_config.json",
    default_config=DIFFVSR_UNET_CONFIG,
    rules=unet_keys.LAVIE_UNET_KEYS,
    names=official_names.LAVIE_UNET_NAMES,
)
DIFFVSR_VAE_PART = NetworkPart(
    folder="vae",
    kind="vae",
    files=("TE-3DVAE.pt",),
    config="vae_config.json",
    default_config=DIFFVSR_VAE_CONFIG,
    rules=vae_keys.DIFFVSR_VAE_KEYS,
    names=official_names.DIFFVSR_VAE_NAMES,
)
LAVIE_UNET_PART = NetworkPart(
    folder="unet",
    kind="unet",
    files=("lavie_vsr.pt",),
    config="unet_3d_config.json",
    default_config=UNET_CONFIG,
    rules=unet_keys.LAVIE_UNET_KEYS,
    names=official_names.LAVIE_UNET_NAMES,
)

MGLD_VSR_UNET_PART = NetworkPart(
    folder="unet",
    kind="mgld_vsr_unet",
    files=("mgldvsr_unet.ckpt",),
    config="mgldvsr_unet.json",
    default_config=MGLD_VSR_UNET_CONFIG,
    rules=ldm_keys.MGLD_VSR_UNET_KEYS,
    names=ldm_keys.MGLD_VSR_UNET_NAMES,
)
MGLD_VSR_VAE_PART = NetworkPart(
    folder="vae",
    kind="mgld_vsr_vae",
    files=("video_vae_cfw.ckpt",),
    config="video_vae_cfw.json",
    default_config=MGLD_VSR_VAE_CONFIG,
    rules=vae_keys.MGLD_VSR_VAE_KEYS,
    names=official_names.MGLD_VSR_VAE_NAMES,
)
SD21_UNET_PART = NetworkPart(
    folder="unet",
    kind="sd_unet",
    files=("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin"),
    config="unet/config.json",
    default_config=SD21_UNET_CONFIG,
    rules=(),
    names=(),
)
SD21_VAE_PART = replace(SD_X4_VAE_PART, kind="sd_vae", default_config=SD21_VAE_CONFIG)

DC_VSR_UNET_PART = NetworkPart(
    folder="unet",
    kind="svd_unet",
    files=("unet_ema/diffusion_pytorch_model.safetensors",),
    config="unet_ema/config.json",
    default_config=svd_configs.SVD_UNET_CONFIG,
    rules=(),
    names=(),
)
SVD_UNET_PART = replace(
    DC_VSR_UNET_PART,
    files=("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors"),
    config="unet/config.json",
)
SVD_VAE_PART = NetworkPart(
    folder="vae",
    kind="svd_vae",
    files=("vae/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.fp16.safetensors"),
    config="vae/config.json",
    default_config=svd_configs.SVD_VAE_CONFIG,
    rules=(),
    names=(),
)

STREAM_DIFFVSR_UNET_PART = replace(SD_X4_UNET_PART, default_config=STREAM_DIFFVSR_UNET_CONFIG)
STREAM_DIFFVSR_BRANCH_PART = NetworkPart(
    folder="controlnet",
    kind="stream_diffvsr_branch",
    files=("controlnet/diffusion_pytorch_model.safetensors",),
    config="controlnet/config.json",
    default_config=STREAM_DIFFVSR_BRANCH_CONFIG,
    rules=(),
    names=(),
)
STREAM_DIFFVSR_VAE_PART = NetworkPart(
    folder="vae",
    kind="vae",
    files=("vae/diffusion_pytorch_model.safetensors",),
    config="vae/config.json",
    default_config=STREAM_DIFFVSR_VAE_CONFIG,
    rules=(),
    names=(),
)
_RAFT_TORCHVISION = ("raft_large_C_T_SKHT_V2-ff5fadd5.pth", "raft_large_C_T_V1-22a6c225.pth")
"""Files of torchvision's network; Stream-DiffVSR was trained with the first."""

CONTENTS: dict[str, Contents] = {
    "upscale-a-video": Contents(
        networks=(UAV_UNET_PART, UAV_VAE_PART, UAV_VIDEO_VAE_PART), flow=("propagator/raft-things.pth",)
    ),
    "diffvsr": Contents(networks=(DIFFVSR_UNET_PART, DIFFVSR_VAE_PART), base="sd-x4-upscaler"),
    "lavie-vsr": Contents(networks=(LAVIE_UNET_PART, SD_X4_VAE_PART), base="sd-x4-upscaler"),
    "sd-x4-upscaler": Contents(networks=(SD_X4_UNET_PART, SD_X4_VAE_PART)),
    "mgld-vsr": Contents(
        networks=(MGLD_VSR_UNET_PART, MGLD_VSR_VAE_PART),
        flow=("raft-things.pth",),
        base="sd-2-1-base",
        base_folder="stable-diffusion-2-1-base",
        schedules={"scheduler": MGLD_VSR_SCHEDULER_CONFIG},
        fixed_schedules=True,
        predicts="epsilon",
        text_file="mgldvsr_unet.ckpt",
    ),
    "sd-2-1-base": Contents(
        networks=(SD21_UNET_PART, SD21_VAE_PART),
        schedules={"scheduler": MGLD_VSR_SCHEDULER_CONFIG},
        fixed_schedules=True,
        predicts="epsilon",
    ),
    "dc-vsr": Contents(
        networks=(DC_VSR_UNET_PART, SVD_VAE_PART), base="svd", schedules={}, text=False, image_encoder=True
    ),
    "svd": Contents(networks=(SVD_UNET_PART, SVD_VAE_PART), schedules={}, text=False, image_encoder=True),
    "stream-diffvsr": Contents(
        networks=(STREAM_DIFFVSR_UNET_PART, STREAM_DIFFVSR_BRANCH_PART, STREAM_DIFFVSR_VAE_PART),
        flow=_RAFT_TORCHVISION,
        schedules={"scheduler": STREAM_DIFFVSR_SCHEDULER_CONFIG},
    ),
    "raft-things": Contents(networks=(), flow=("raft-things.pth",)),
    "raft-large": Contents(networks=(), flow=tuple(reversed(_RAFT_TORCHVISION))),
    "spynet": Contents(networks=(), flow=("spynet_20210409-c6c1bd09.pth", "spynet_sintel_final-3d2a1287.pth")),
}
