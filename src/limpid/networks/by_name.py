"""Networks by their names, without numbers (on torch's meta device): which tensors they have, how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn

from limpid.bounded import cut, quoted
from limpid.checkpoints.configs import check_config
from limpid.types import WeightsError

WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
"""What diffusers calls the weights in a network's folder, beside its ``config.json``; ours are called so too."""
NetworkKind = Literal[
    "unet", "vae", "mgld_vsr_unet", "mgld_vsr_vae", "svd_unet", "svd_vae", "sd_unet", "sd_vae", "stream_diffvsr_branch"
]
"""Networks whose makers' configurations are told apart."""
SD21_SCALING = 0.18215
"""The scaling factor of Stable Diffusion 2.1's latents; older configurations do not say it."""
_OWN = {"mgld_vsr_unet": "StructuredUNet", "mgld_vsr_vae": "CFWVAE"}
"""Networks that are configured in our words, because their makers' files hold no configuration."""
OF_DIFFUSERS = {
    "svd_unet": "UNetSpatioTemporalConditionModel",
    "svd_vae": "AutoencoderKLTemporalDecoder",
    "sd_unet": "UNet2DConditionModel",
}
"""Networks that stay those of the library."""


def make_official(kind: NetworkKind, config: Mapping[str, Any], *, temporal: bool = True) -> Any:
    """Our network for the makers' configuration; ``temporal``: whether a U-Net has temporal layers.

    Raises WeightsError for a configuration that is not known here.
    """
    try:
        check_config(config)
        if kind in _OWN:
            return make_network(_OWN[kind], config)
        if kind in OF_DIFFUSERS:
            return make_network(OF_DIFFUSERS[kind], config)
        if kind == "unet":
            from limpid.networks.unet.config import official_unet_config

            options = official_unet_config(dict(config))
            return make_network("TemporalUNet", options if temporal else {**options, "temporal": False})
        if kind == "stream_diffvsr_branch":
            from limpid.networks.unet.config import official_branch_config

            return make_network("PreviousFrameBranch", official_branch_config(dict(config)))
        from limpid.networks.autoencoder import official_vae_config

        default = {"scaling_factor": SD21_SCALING} if kind == "sd_vae" else {}
        return make_network(*official_vae_config({**default, **config}))
    except UNUSABLE as error:
        text = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise WeightsError(f"the configuration of the {kind} is not usable: {cut(text, 300)}") from error


UNUSABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, AssertionError)
"""What the constructors of networks raise for options that do not go together."""


def make_network(name: str, config: Mapping[str, Any]) -> Any:
    """A network by the name of its class, as ``config.json`` has it. Raises WeightsError."""
    options = {key: value for key, value in config.items() if not key.startswith("_")}
    try:
        check_config(options)
        return _make_network(name, options)
    except UNUSABLE as error:
        raise WeightsError(f"the configuration of a {quoted(name)} is not usable: {cut(str(error), 300)}") from error


def _make_network(name: str, options: Mapping[str, Any]) -> Any:
    with torch.device("meta"):
        if name == "TemporalUNet":
            from limpid.networks.unet.temporal_unet import TemporalUNet

            return TemporalUNet(**options)
        if name == "StructuredUNet":
            from limpid.networks.unet.mgld_vsr_unet import StructuredUNet

            return StructuredUNet(**options)
        if name == "PreviousFrameBranch":
            from limpid.networks.unet.stream_diffvsr_branch import PreviousFrameBranch

            return PreviousFrameBranch(**options)
        if name in ("UpscalerVAE", "TemporalVAE", "CFWVAE", "LightVAE", "PreviousFrameVAE"):
            from limpid.networks import autoencoder as autoencoders

            return getattr(autoencoders, name)(**options)
        if name == "CLIPTextModel":
            from limpid.networks.of_transformers import import_transformers

            transformers = import_transformers("text encoders are checked")
            return transformers.CLIPTextModel(transformers.CLIPTextConfig(**options))
        if name == "CLIPVisionModelWithProjection":
            from limpid.networks.of_transformers import import_transformers

            transformers = import_transformers("image encoders are checked")
            return transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**options))
        if name in OF_DIFFUSERS.values():
            import diffusers

            return getattr(diffusers, name)(**options)
    raise WeightsError(f"a network called {quoted(name)} is not known here")


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors of a network that are saved, by their names."""
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
