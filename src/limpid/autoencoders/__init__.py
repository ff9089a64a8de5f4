"""Frames to latents and back. Names are imported when they are first used: most of them need diffusers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limpid.lazy import names_of

if TYPE_CHECKING:
    from limpid.autoencoders.cfw_vae import CFWVAE
    from limpid.autoencoders.inflate import inflate_vae
    from limpid.autoencoders.interface import Autoencoder
    from limpid.autoencoders.light_vae import LightVAE
    from limpid.autoencoders.official import official_vae_config
    from limpid.autoencoders.temporal_vae import TemporalVAE
    from limpid.autoencoders.upscaler_vae import UpscalerVAE

__all__ = ["CFWVAE", "Autoencoder", "LightVAE", "TemporalVAE", "UpscalerVAE", "inflate_vae", "official_vae_config"]

_HOMES = {
    "Autoencoder": ".interface",
    "CFWVAE": ".cfw_vae",
    "LightVAE": ".light_vae",
    "TemporalVAE": ".temporal_vae",
    "UpscalerVAE": ".upscaler_vae",
    "inflate_vae": ".inflate",
    "official_vae_config": ".official",
}

__getattr__ = names_of(__name__, _HOMES)
