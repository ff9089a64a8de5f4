"""Frames to latents and back. Names are imported when they are first used: most of them need diffusers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limpid.autoencoders.inflate import inflate_vae
    from limpid.autoencoders.interface import Autoencoder
    from limpid.autoencoders.official import official_vae_config
    from limpid.autoencoders.temporal_vae import TemporalVAE
    from limpid.autoencoders.upscaler_vae import UpscalerVAE

__all__ = ["Autoencoder", "TemporalVAE", "UpscalerVAE", "inflate_vae", "official_vae_config"]

_HOMES = {
    "Autoencoder": "interface",
    "TemporalVAE": "temporal_vae",
    "UpscalerVAE": "upscaler_vae",
    "inflate_vae": "inflate",
    "official_vae_config": "official",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
