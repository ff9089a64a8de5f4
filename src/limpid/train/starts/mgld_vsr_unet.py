"""The U-Net of MGLD-VSR as training begins with it: its own, or Stable Diffusion 2.1 with new layers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limpid.checkpoints.folders import read_card
from limpid.checkpoints.renames import compare, rename_all
from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.convert.ldm_keys import LDM_UNET_PREFIX, SD21_UNET_KEYS
from limpid.methods.common import MGLD_VSR_NAME
from limpid.networks.by_name import WEIGHTS_FILE
from limpid.networks.unet.mgld_vsr_unet import StructuredUNet
from limpid.priors.load.upscaler import from_folder
from limpid.types import WeightsError

_NEW = (".spade.", "structure.", ".temporal_")
"""Parts of the names of parameters that the image model does not have."""


def start_mgld_vsr_unet(folder: Path, options: Mapping[str, Any]) -> StructuredUNet:
    """The denoiser of a converted folder; that of the image model gets new layers, which do nothing yet."""
    place = folder / "unet"
    if read_card(folder).name == MGLD_VSR_NAME:
        found: StructuredUNet = from_folder(StructuredUNet, place, torch.float32, {})
        return found
    try:
        values = json.loads((place / "config.json").read_text(encoding="utf-8"))
        unet: StructuredUNet = StructuredUNet(**{**image_options(values), **options})
        load_image_model(unet, {name: tensor.float() for name, tensor in SafetensorsFile(place / WEIGHTS_FILE).items()})
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{place} cannot be given new layers: {error}") from error
    return unet


def image_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the library's configuration of Stable Diffusion 2 says, as `StructuredUNet` calls it.

    Its ``attention_head_dim`` is the number of heads of each level. Raises ValueError when their widths differ.
    """
    widths, heads = values["block_out_channels"], values["attention_head_dim"]
    head_widths = {width // count for width, count in zip(widths, heads, strict=True)}
    if len(head_widths) != 1:
        raise ValueError(f"heads of the widths {sorted(head_widths)} are not supported, all must have one")
    kept = ("in_channels", "out_channels", "layers_per_block", "cross_attention_dim", "norm_num_groups")
    own = {name: values[name] for name in kept if name in values}
    return {**own, "block_out_channels": tuple(widths), "head_channels": head_widths.pop()}


def is_new(name: str) -> bool:
    """Whether the image model lacks the parameter: what is trained in MGLD-VSR's first stage."""
    return any(part in name for part in _NEW)


def load_image_model(unet: StructuredUNet, state: Mapping[str, Tensor]) -> None:
    """Takes over the image model's numbers; layers over time and modulation begin as nothing.

    ``state``: of ``v2-1_512-ema-pruned.ckpt`` (``model.diffusion_model.``...), where the transformer and the second
    residual block of the middle have other numbers than with layers over time between them, or of diffusers'
    ``UNet2DConditionModel``. All norms of SPADE begin with weight 1, so the network is not quite the image model.
    Raises ValueError when names or shapes do not fit.
    """
    ours = rename_all(state, SD21_UNET_KEYS) if any(name.startswith(LDM_UNET_PREFIX) for name in state) else dict(state)
    wanted = {name: tensor.shape for name, tensor in unet.state_dict().items() if not is_new(name)}
    wrong = compare({name: tensor.shape for name, tensor in ours.items()}, wanted)
    if wrong:
        raise ValueError(f"the image model does not fit: {wrong.sentence()}")
    unet.load_state_dict(ours, strict=False)
    rest(unet)


@torch.no_grad()
def rest(unet: StructuredUNet) -> None:
    """Layers over time are mixed in with alpha 0, and the structure modulates nothing."""
    for name, parameter in unet.named_parameters():
        if name.endswith(".alpha") or ".spade.gamma." in name or ".spade.beta." in name:
            nn.init.zeros_(parameter)
