"""From the image upscaler to the video U-Net: same spatial layers, new layers that do nothing yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from limpid.checkpoints.renames import compare, rename_all
from limpid.convert.unet_keys import SD_X4_UNET_KEYS
from limpid.networks.unet.config import official_unet_config

if TYPE_CHECKING:
    from limpid.networks.unet.temporal_unet import TemporalUNet

_STEM = "diffusion_pytorch_model"
_KINDS = {
    "temporal_resnet": (".temporal_resnet.",),
    "temporal_attention": (".attn_temporal.", ".norm_temporal."),
    "multi_scale": (".coarse.",),
    "temporal_module": ("down_temporal.", "mid_temporal.", "up_temporal."),
}
"""Parts of parameter names by the kind of layer that they belong to; all others are ``spatial``."""
LAST = (
    ".temporal_resnet.conv2.",
    ".attn_temporal.to_out.0.",
    ".coarse.attn.to_out.0.",
    ".coarse.up_conv.",
    ".shift_conv.",
)
"""The last map of each new layer on the way to its sum: with zeros there, the layer does nothing."""


def unet_layer_kind(name: str) -> str:
    """``spatial``, or one of `_KINDS`, for the name of a parameter."""
    return next((kind for kind, parts in _KINDS.items() if any(part in name for part in parts)), "spatial")


def unet_kinds(unet: nn.Module) -> dict[str, list[str]]:
    """Names of the parameters by kind of layer; kinds that the network does not have are empty lists."""
    kinds: dict[str, list[str]] = {"spatial": [], **{kind: [] for kind in _KINDS}}
    for name, _ in unet.named_parameters():
        kinds[unet_layer_kind(name)].append(name)
    return kinds


def silence_temporal_layers(unet: nn.Module) -> None:
    """All layers over time do nothing from now on: the network is the image model (see ``norm_scope`` for when)."""
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if any(part in name for part in LAST):
                parameter.zero_()


def inflate_unet(folder: Path, **config: Any) -> TemporalUNet:
    """A video U-Net with the weights of a saved diffusers ``UNet2DConditionModel`` (SD x4 upscaler, ``unet/``).

    ``config``: what to change, for example ``msta=True`` or ``norm_scope="frame"``; ``temporal=False`` gives the image
    model. New layers do nothing until trained. Raises ValueError when names or shapes do not fit, OSError when the
    files cannot be read.
    """
    from limpid.networks.unet.temporal_unet import TemporalUNet

    values = official_unet_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    unet: TemporalUNet = TemporalUNet(**{**values, "temporal": True, "norm_scope": "window", **config})
    state = rename_all(_read(folder), SD_X4_UNET_KEYS)
    wanted = {key: value.shape for key, value in unet.state_dict().items() if unet_layer_kind(key) == "spatial"}
    wrong = compare({key: value.shape for key, value in state.items()}, wanted)
    if wrong:
        raise ValueError(f"the U-Net in {folder} does not fit: {wrong.sentence()}")
    unet.load_state_dict(state, strict=False)
    silence_temporal_layers(unet)
    unet.eval()
    return unet


def _read(folder: Path) -> Mapping[str, Tensor]:
    """The tensors of one safetensors file or of several that belong together; half precision if there is no other."""
    for pattern in (
        f"{_STEM}.safetensors",
        f"{_STEM}-*-of-*.safetensors",
        f"{_STEM}.fp16.safetensors",
    ):
        files = sorted(folder.glob(pattern))
        if files:
            return {key: value for file in files for key, value in load_file(file).items()}
    raise FileNotFoundError(f"{folder} has no {_STEM}.safetensors")
