"""Autoencoders for video, as training begins with them: the image autoencoder with new layers that do nothing yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from limpid.convert.official_configs import SD21_VAE_CONFIG, VAE_CONFIG
from limpid.networks import autoencoder as autoencoders
from limpid.networks.autoencoder.official import KEPT
from limpid.networks.by_name import WEIGHTS_FILE, make_network, make_official
from limpid.train.freezing import by_kind
from limpid.types import WeightsError

IMAGE_FOLDER = "vae"
_KINDS = {
    "encoder": ("encoder.", "quant_conv."),
    "condition": ("condition.", "fusion."),
}
"""First words of parameter names by kind of layer."""
_TEMPORAL = (
    ".temporal_norm.",
    ".temporal_conv.",
    ".temporal.",
    ".mix_factor",
    ".time_embedding.",
    ".over_time.",
    ".mixing.",
    "time_conv_out.",
)
"""Parts of the names of layers over time; what is left is ``spatial``, the image model's decoder."""
OLD = ("encoder", "spatial")
"""Kinds of layers that the image autoencoder has."""
RESTING = (
    ".temporal_conv.",
    "condition.scale.",
    "condition.shift.",
    ".temporal.conv2.",
    ".time_embedding.2.",
    ".over_time.ff_in.proj_out.",
    ".over_time.attn1.to_out.",
    ".over_time.attn2.to_out.",
    ".over_time.ff.proj_out.",
)
"""The last map of each new layer on the way to its sum: with zeros there, the layer does nothing."""


@dataclass(frozen=True, kw_only=True)
class AutoencoderChoice:
    """Which autoencoder is trained."""

    kind: Literal["UpscalerVAE", "TemporalVAE", "CFWVAE"]
    """A class of `limpid.networks.autoencoder`."""
    folder: str
    """Its folder in a set of weights."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of its configuration, besides what it has from the image autoencoder."""
    anew: bool = False
    """Begin without the layers that were trained before, of which only the image autoencoder's are kept."""


def autoencoder_layer_kind(name: str) -> str:
    """``encoder``, ``condition`` (layers that look at the input), ``temporal`` or ``spatial``."""
    for kind, words in _KINDS.items():
        if name.startswith(words):
            return kind
    return "temporal" if any(part in name for part in _TEMPORAL) else "spatial"


def autoencoder_kinds(vae: nn.Module) -> dict[str, list[str]]:
    """Names of the parameters by kind of layer; kinds that the network does not have are left out."""
    return by_kind(vae, autoencoder_layer_kind)


def start_autoencoder(network: AutoencoderChoice, folder: Path) -> Any:
    """The autoencoder in a folder of converted weights, or one made from the image autoencoder in it.

    Decoding is then that of the image autoencoder, to rounding; where group norms are pooled over a clip
    (``norm_scope="window"``) only of single and of equal frames; and CFW's only with weight 0. Raises WeightsError when
    neither is there, or does not fit.
    """
    own, image = folder / network.folder, folder / IMAGE_FOLDER
    for place in (own, image):
        if (place / "config.json").is_file():
            values, state = _read(place)
            break
    else:
        raise WeightsError(f"{folder} has no autoencoder in {network.folder} or {IMAGE_FOLDER}; convert the weights")
    kept = {key: values[key] for key in KEPT if key in values}
    vae = getattr(autoencoders, network.kind)(**{**kept, **network.options})
    own_kind = values.get("_class_name") == network.kind and place == own
    same = own_kind and _has_layers(values, network) and not network.anew
    if not same:
        silence_new_layers(vae)
    if network.anew:
        state = {key: tensor for key, tensor in state.items() if autoencoder_layer_kind(key) in OLD}
    if not own_kind:
        state = {_image_name(network, key): tensor for key, tensor in state.items()}
    _load(vae, state, place, complete=same)
    return vae


def full_autoencoder(network: AutoencoderChoice) -> nn.Module:
    """The autoencoder at the size that the makers' image model has, without numbers: to count its parameters."""
    image = make_official(*(("sd_vae", SD21_VAE_CONFIG) if network.kind == "CFWVAE" else ("vae", VAE_CONFIG)))
    kept = {key: image.config[key] for key in KEPT if key in image.config}
    full: nn.Module = make_network(network.kind, {**kept, **network.options})
    return full


def silence_new_layers(vae: nn.Module) -> None:
    """All layers over time, and the condition, do nothing from now on."""
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            if any(part in name for part in RESTING):
                parameter.zero_()
        if isinstance(last := getattr(vae, "time_conv_out", None), nn.Conv3d):
            nn.init.dirac_(last.weight)
            nn.init.zeros_(last.bias) if last.bias is not None else None


def _read(place: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        return json.loads((place / "config.json").read_text(encoding="utf-8")), load_file(place / WEIGHTS_FILE)
    except (OSError, ValueError) as error:
        raise WeightsError(f"the autoencoder in {place} cannot be read: {error}") from error


def _has_layers(values: Mapping[str, Any], network: AutoencoderChoice) -> bool:
    """Whether a stored configuration has the layers that are asked for."""
    return all(values.get(key) == value for key, value in network.options.items() if key != "norm_scope")


def _image_name(network: AutoencoderChoice, name: str) -> str:
    """Where a tensor of the image autoencoder stands in the new one: TE-3DVAE's blocks hold the picture's inside."""
    if network.kind != "TemporalVAE" or not name.startswith("decoder.") or ".resnets." not in name:
        return name
    block, rest = name.split(".resnets.")
    number, layer = rest.split(".", 1)
    return f"{block}.resnets.{number}.spatial.{layer}"


def _load(vae: nn.Module, state: Mapping[str, Tensor], place: Path, *, complete: bool) -> None:
    """Linear layers also fit 1x1 convolutions. ``complete``: nothing may be missing, else only what is new."""
    wanted = vae.state_dict()
    fitting = {
        name: tensor.float().reshape(wanted[name].shape)
        for name, tensor in state.items()
        if name in wanted and _pointwise(tensor) == _pointwise(wanted[name])
    }
    odd = [name for name in state if name not in fitting]
    missing = [name for name in wanted if name not in fitting and (complete or autoencoder_layer_kind(name) in OLD)]
    if odd or missing:
        raise WeightsError(f"the autoencoder in {place} does not fit: {', '.join((odd + missing)[:3])}")
    vae.load_state_dict(fitting, strict=False)


def _pointwise(tensor: Tensor) -> tuple[int, ...]:
    """The shape, that of a 1x1 convolution as of a linear layer."""
    return tuple(tensor.shape[:2]) if tensor.ndim == 4 and tensor.shape[2:] == (1, 1) else tuple(tensor.shape)
