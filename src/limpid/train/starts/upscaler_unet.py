"""The U-Net of the SD x4 upscaler family as training begins with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from limpid.bounded import cut
from limpid.convert.start_unet import silence_temporal_layers, unet_layer_kind
from limpid.networks.of_transformers import refuse_incomplete
from limpid.networks.unet.temporal_unet import TemporalUNet
from limpid.priors.load.upscaler import from_folder
from limpid.types import WeightsError


def start_upscaler_unet(folder: Path, *, own: bool, multi_scale: bool, options: Mapping[str, Any]) -> TemporalUNet:
    """The U-Net of a converted folder; that of the image model gets temporal layers which are the identity.

    Args:
        own: the folder has weights of the very method that is trained, whose layers must be those that are asked for.
        multi_scale: whether a new U-Net gets DiffVSR's coarse temporal attention.
        options: of the configuration, besides what the folder says.

    Raises WeightsError when the method's own network has other layers, when the folder's file lacks tensors, and when
    something is asked for that neither the folder has nor is a new kind of layer over time.
    """
    found: TemporalUNet = from_folder(TemporalUNet, folder / "unet", torch.float32, {})
    wanted = {"temporal": True, "msta": found.config["msta"] or multi_scale, **options}
    if all(found.config[key] == value for key, value in wanted.items()):
        return found
    if own:
        raise WeightsError(f"the U-Net in {folder} has other layers than the recipe asks for ({wanted})")
    values = {key: value for key, value in found.config.items() if not key.startswith("_")}
    unet: TemporalUNet = TemporalUNet(**{**values, "norm_scope": "window", **wanted})
    _take_over(unet, found, folder)
    silence_temporal_layers(unet)
    return unet


def _take_over(unet: TemporalUNet, found: TemporalUNet, folder: Path) -> None:
    """Gives ``unet`` the numbers of ``found``; only kinds of layers over time that ``found`` has none of may be new."""
    state = found.state_dict()
    had = {"spatial", *map(unet_layer_kind, state)}
    try:
        missing, _ = unet.load_state_dict(state, strict=False)
    except RuntimeError as error:  # another shape
        raise WeightsError(f"{folder / 'unet'} does not fit: {cut(' '.join(str(error).split()), 300)}") from error
    refuse_incomplete((name for name in missing if unet_layer_kind(name) in had), str(folder / "unet"))
