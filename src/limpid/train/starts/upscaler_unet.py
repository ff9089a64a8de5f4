"""The U-Net of the SD x4 upscaler family as training begins with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from limpid.convert.start_unet import silence_temporal_layers
from limpid.networks.unet.temporal_unet import TemporalUNet
from limpid.types import WeightsError


def start_upscaler_unet(folder: Path, *, own: bool, multi_scale: bool, options: Mapping[str, Any]) -> TemporalUNet:
    """The U-Net of a converted folder; that of the image model gets temporal layers which are the identity.

    Args:
        own: the folder has weights of the very method that is trained, whose layers must be those that are asked for.
        multi_scale: whether a new U-Net gets DiffVSR's coarse temporal attention.
        options: of the configuration, besides what the folder says.

    Raises WeightsError when the method's own network has other layers.
    """
    found: TemporalUNet = TemporalUNet.from_pretrained(
        folder / "unet", local_files_only=True, torch_dtype=torch.float32
    )
    wanted = {"temporal": True, "msta": found.config["msta"] or multi_scale, **options}
    if all(found.config[key] == value for key, value in wanted.items()):
        return found
    if own:
        raise WeightsError(f"the U-Net in {folder} has other layers than the recipe asks for ({wanted})")
    values = {key: value for key, value in found.config.items() if not key.startswith("_")}
    unet: TemporalUNet = TemporalUNet(**{**values, "norm_scope": "window", **wanted})
    unet.load_state_dict(found.state_dict(), strict=False)
    silence_temporal_layers(unet)
    return unet
