"""The light decoder as training begins with it: the one that is there, or a new one beside its teacher's encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from limpid.methods.upscaler_family import LIGHT
from limpid.networks.autoencoder import LightVAE
from limpid.networks.autoencoder.official import KEPT
from limpid.priors.load.upscaler import from_folder
from limpid.types import WeightsError

_ENCODER = ("encoder.", "quant_conv.")
"""First words of what a student has from its teacher."""


def start_light_decoder(teacher: Any, options: Mapping[str, Any], folder: Path) -> Any:
    """The light decoder in a folder of weights, or a new one with the teacher's encoder, which upscales bicubically.

    Raises WeightsError when the one in the folder is damaged or has another shape than ``options`` ask for.
    """
    if not (folder / LIGHT).is_dir():
        kept = {key: teacher.config[key] for key in (*KEPT, "norm_scope") if key in teacher.config}
        vae = LightVAE(**{**kept, **options})
        encoder = {key: value for key, value in teacher.state_dict().items() if key.startswith(_ENCODER)}
        missing, unexpected = vae.load_state_dict(encoder, strict=False)
        if unexpected or any(key.startswith(_ENCODER) for key in missing):
            raise WeightsError(f"the autoencoder in {folder} has another encoder than those of the family")
        return vae
    found = from_folder(LightVAE, folder / LIGHT, torch.float32, {})
    odd = {key: found.config[key] for key, value in options.items() if _plain(found.config[key]) != _plain(value)}
    if odd:
        raise WeightsError(f"the light decoder in {folder / LIGHT} has {odd}; the recipe asks for {dict(options)}")
    return found


def _plain(value: Any) -> Any:
    """A stored configuration has lists where there were tuples."""
    return tuple(value) if isinstance(value, list) else value
