"""From Stable Diffusion 2.1 to the U-Net of MGLD-VSR, as training starts from it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from limpid.checkpoints.renames import compare, rename_all
from limpid.convert.ldm_keys import SD21_UNET, UNET
from limpid.networks.unet.mgld_vsr_unet import StructuredUNet

NEW = (".spade.", "structure.", ".temporal_")
"""Parts of the names of parameters that the image model does not have."""


def is_new(name: str) -> bool:
    """Whether the image model lacks the parameter: what is trained in MGLD-VSR's first stage."""
    return any(part in name for part in NEW)


def load_image_model(unet: StructuredUNet, state: Mapping[str, Tensor]) -> None:
    """Takes over the image model's numbers; layers over time and modulation begin as nothing.

    ``state``: of ``v2-1_512-ema-pruned.ckpt`` (``model.diffusion_model.``...), where the transformer and the second
    residual block of the middle have other numbers than with layers over time between them, or of diffusers'
    ``UNet2DConditionModel``. All norms of SPADE begin with weight 1, so the network is not quite the image model.
    Raises ValueError when names or shapes do not fit.
    """
    ours = rename_all(state, SD21_UNET) if any(name.startswith(UNET) for name in state) else dict(state)
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
