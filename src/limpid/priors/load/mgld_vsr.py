"""A folder of converted weights of MGLD-VSR -> a prior that is ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from limpid.networks.by_name import WEIGHTS_FILE
from limpid.priors.load.upscaler import count_values, embed, from_folder
from limpid.priors.mgld_vsr import MGLDVSRPrior
from limpid.priors.prompts import PromptBook
from limpid.types import Placement


@dataclass(frozen=True, kw_only=True)
class MGLDVSRFiles:
    """Files of a folder of MGLD-VSR's weights that are used, and how."""

    folder: Path
    temporal_decoder: bool = True
    """Whether the decoder looks at neighbours and follows the input; False: it is that of the image model."""
    decoder_weight: float = 0.5

    def parameter_bytes(self) -> dict[str, int]:
        """Bytes in float32 of each network, from the headers of their files. Raises WeightsError."""
        return {name: 4 * count_values(self.folder / name / WEIGHTS_FILE) for name in ("unet", "vae")}


def load_mgld_vsr(files: MGLDVSRFiles, placement: Placement, *, book: PromptBook) -> MGLDVSRPrior:
    """The prior of MGLD-VSR from its files, with the texts embedded.

    Raises WeightsError, or SettingsError when a library is missing.
    """
    from limpid.plan.allocator import free_memory
    from limpid.priors.load.offload import Parts

    prompts = embed(files.folder, book, placement)
    unet, vae = load_mgld_vsr_networks(files, placement)
    free_memory()  # of the files and of other layouts
    return MGLDVSRPrior(
        networks=Parts(placement, unet=unet, vae=vae),
        prompts=prompts,
        device=placement.device,
        dtype=placement.dtype,
        decoder_weight=files.decoder_weight if files.temporal_decoder else 0.0,
        latent_scale=float(vae.config.scaling_factor),
        warnings=prompts.warnings,
    )


def load_mgld_vsr_networks(files: MGLDVSRFiles, placement: Placement) -> tuple[Any, Any]:
    """Denoiser and autoencoder of MGLD-VSR, ready to run."""
    from limpid.networks.autoencoder import CFWVAE
    from limpid.networks.unet.mgld_vsr_unet import StructuredUNet
    from limpid.priors.load.offload import compiled, place_network, vae_dtype

    unet = from_folder(StructuredUNet, files.folder / "unet", placement.dtype, {})
    dtype = vae_dtype(placement)
    vae = from_folder(CFWVAE, files.folder / "vae", dtype, {})
    if not files.temporal_decoder:
        rest_over_time(vae)
    return compiled(place_network(unet, placement), placement), place_network(vae, placement, dtype)


@torch.no_grad()
def rest_over_time(network: Any) -> None:
    """Switches off all layers over time that are mixed in: their ``alpha`` becomes 0."""
    from limpid.networks.temporal.mgld_vsr_mixing import TemporalMixing

    for module in network.modules():
        if isinstance(module, TemporalMixing):
            module.alpha.zero_()
