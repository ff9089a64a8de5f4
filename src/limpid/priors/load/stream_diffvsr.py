"""A folder of converted weights of Stream-DiffVSR -> a prior that is ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpid.networks.by_name import WEIGHTS_FILE
from limpid.priors.load.upscaler import count_values, embed, from_folder
from limpid.priors.prompts import PromptBook
from limpid.priors.stream_diffvsr import StreamDiffVSRPrior
from limpid.types import Placement

_NETWORKS = ("unet", "controlnet", "vae")


@dataclass(frozen=True, kw_only=True)
class StreamDiffVSRFiles:
    """Files of a folder of Stream-DiffVSR's weights that are used."""

    folder: Path

    def parameter_bytes(self) -> dict[str, int]:
        """Bytes in float32 of each network, from the headers of their files. Raises WeightsError."""
        return {name: 4 * count_values(self.folder / name / WEIGHTS_FILE) for name in _NETWORKS}


def load_stream_diffvsr(files: StreamDiffVSRFiles, placement: Placement) -> StreamDiffVSRPrior:
    """The prior of Stream-DiffVSR from its files, with the empty text embedded.

    Raises WeightsError, or SettingsError when a library is missing.
    """
    from limpid.plan.allocator import free_memory
    from limpid.priors.load.offload import Parts

    prompts = embed(files.folder, PromptBook(), placement)
    networks = load_stream_networks(files, placement)
    free_memory()  # of the files and of other layouts
    return StreamDiffVSRPrior(
        networks=Parts(placement, **networks),
        prompt=prompts.positive(0).to(placement.device, placement.dtype),
        device=placement.device,
        dtype=placement.dtype,
        latent_scale=float(networks["vae"].config.scaling_factor),
        warnings=prompts.warnings,
    )


def load_stream_networks(files: StreamDiffVSRFiles, placement: Placement) -> dict[str, Any]:
    """Denoiser, its branch and the autoencoder, ready to run."""
    from limpid.networks.autoencoder import PreviousFrameVAE
    from limpid.networks.unet.stream_diffvsr_branch import PreviousFrameBranch
    from limpid.networks.unet.temporal_unet import TemporalUNet
    from limpid.priors.load.offload import compiled, place_network, vae_dtype

    kinds = {"unet": TemporalUNet, "controlnet": PreviousFrameBranch}
    found: dict[str, Any] = {
        name: compiled(place_network(from_folder(kind, files.folder / name, placement.dtype, {}), placement), placement)
        for name, kind in kinds.items()
    }
    dtype = vae_dtype(placement)
    vae = from_folder(PreviousFrameVAE, files.folder / "vae", dtype, {})
    return {**found, "vae": place_network(vae, placement, dtype)}
