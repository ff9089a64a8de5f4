"""Frames to latents and back. Names are imported when they are first used: most of them need diffusers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limpid.lazy import names_of

if TYPE_CHECKING:
    from limpid.networks.autoencoder.diffvsr_vae import TemporalVAE
    from limpid.networks.autoencoder.interface import Autoencoder
    from limpid.networks.autoencoder.light_vae import LightVAE
    from limpid.networks.autoencoder.mgld_vsr_vae import CFWVAE
    from limpid.networks.autoencoder.official import official_vae_config
    from limpid.networks.autoencoder.stream_diffvsr_vae import PreviousFrameVAE
    from limpid.networks.autoencoder.upscaler_vae import UpscalerVAE

__all__ = [
    "CFWVAE",
    "Autoencoder",
    "LightVAE",
    "PreviousFrameVAE",
    "TemporalVAE",
    "UpscalerVAE",
    "official_vae_config",
]

_HOMES = {
    "Autoencoder": ".interface",
    "CFWVAE": ".mgld_vsr_vae",
    "LightVAE": ".light_vae",
    "PreviousFrameVAE": ".stream_diffvsr_vae",
    "TemporalVAE": ".diffvsr_vae",
    "UpscalerVAE": ".upscaler_vae",
    "official_vae_config": ".official",
}

__getattr__ = names_of(__name__, _HOMES)
