"""A folder of converted weights of DC-VSR -> a prior that is ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.networks.by_name import WEIGHTS_FILE
from limpid.priors.dc_vsr import DCVSRPrior, SVDConditioning, spatial_self_attentions
from limpid.priors.load.upscaler import count_values, from_folder
from limpid.types import Placement, WeightsError

_IMAGE_WEIGHTS = "model.safetensors"
INPUT_CHANNELS = 8
"""Channels that the denoiser takes: those of noisy latent and LR latent."""


@dataclass(frozen=True, kw_only=True)
class DCVSRFiles:
    """Files of a folder of DC-VSR's weights that are used."""

    folder: Path
    conditioning: SVDConditioning

    def paths(self) -> dict[str, Path]:
        """Files of the networks that are needed, by their names."""
        found = {name: self.folder / name / WEIGHTS_FILE for name in ("unet", "vae")}
        if self.conditioning.image_embedding == "clip":
            found["image_encoder"] = self.folder / "image_encoder" / _IMAGE_WEIGHTS
        return found

    def parameter_bytes(self) -> dict[str, int]:
        """Bytes in float32 of each network, from the headers of their files. Raises WeightsError."""
        for name, path in self.paths().items():
            if not path.is_file():
                hint = "leave out image_embedding clip, or " if name == "image_encoder" else ""
                raise WeightsError(f"{path} is missing; {hint}convert the weights again")
        return {name: 4 * count_values(path) for name, path in self.paths().items()}


def load_dc_vsr(files: DCVSRFiles, placement: Placement) -> DCVSRPrior:
    """The prior of DC-VSR from its files. Raises WeightsError, or SettingsError when a library is missing."""
    from limpid.plan.allocator import free_memory
    from limpid.priors.load.offload import Parts, compiled, place_network

    networks = {name: load_network(files.folder / name, placement) for name in files.paths()}
    unet, vae = networks["unet"], networks["vae"]
    if unet.config.in_channels != INPUT_CHANNELS:
        raise WeightsError(
            f"the denoiser in {files.folder} takes {unet.config.in_channels} channels; it has to take {INPUT_CHANNELS}"
        )
    networks = {name: place_network(network, placement, network.dtype) for name, network in networks.items()}
    free_memory()  # of the files and of other layouts
    return DCVSRPrior(
        networks=Parts(placement, **{**networks, "unet": compiled(unet, placement)}),
        self_attentions=spatial_self_attentions(unet),
        conditioning=files.conditioning,
        device=placement.device,
        dtype=placement.dtype,
        embedding_channels=int(unet.config.cross_attention_dim),
        latent_scale=float(vae.config.scaling_factor),
    )


def load_network(folder: Path, placement: Placement) -> Any:
    """One network of DC-VSR by its folder, in its number format, on the CPU. Raises WeightsError."""
    from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel

    from limpid.priors.load.offload import vae_dtype

    if folder.name == "image_encoder":
        return load_image_encoder(folder, placement)
    if folder.name == "vae":
        return from_folder(AutoencoderKLTemporalDecoder, folder, vae_dtype(placement), {})
    return from_folder(UNetSpatioTemporalConditionModel, folder, placement.dtype, {})


def load_image_encoder(folder: Path, placement: Placement) -> Any:
    """CLIP's image encoder with its projection. Raises WeightsError, SettingsError without transformers."""
    from limpid.networks.of_transformers import import_transformers, quiet, refuse_incomplete

    transformers = import_transformers("pictures are embedded")
    SafetensorsFile(folder / _IMAGE_WEIGHTS)  # says what is wrong with a file in our words
    try:
        with quiet(transformers):
            network, found = transformers.CLIPVisionModelWithProjection.from_pretrained(
                folder, dtype=placement.dtype, local_files_only=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
    refuse_incomplete(found["missing_keys"], str(folder))
    return network
