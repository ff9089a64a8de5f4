"""A folder of converted weights of the SD x4 upscaler family -> a prior that is ready to run.

Everything that is large is read here and nowhere else. Texts are embedded first and their encoder is freed, so that it
never lies in memory beside the denoiser.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from limpid.bounded import cut
from limpid.checkpoints.configs import check_config, read_config
from limpid.checkpoints.tensor_files import SafetensorsFile, check_header
from limpid.networks.by_name import UNUSABLE, WEIGHTS_FILE
from limpid.networks.of_transformers import refuse_incomplete
from limpid.priors.load.schedule_config import read_betas
from limpid.priors.prompts import PromptBook
from limpid.priors.upscaler import UpscalerPrior
from limpid.types import Placement, WeightsError


@dataclass(frozen=True, kw_only=True)
class UpscalerFiles:
    """Files of a folder of an upscaler's weights that are used, and how."""

    folder: Path
    autoencoder: str = "vae"
    """Name of the folder of the autoencoder in it."""
    unet_options: Mapping[str, Any] | None = None
    """Options of the U-Net in place of those in ``unet/config.json``."""
    autoencoder_options: Mapping[str, Any] | None = None
    lr_weight: float = 1.0
    """How strongly a decoder that looks at the LR frames follows them."""

    def decoder_sees_input(self) -> bool:
        """Whether the decoder is conditioned on the LR frames. Raises WeightsError."""
        return read_config(self.folder / self.autoencoder / "config.json").get("lr_condition") is True

    def parameter_bytes(self) -> dict[str, int]:
        """Bytes in float32 of each network, from the headers of their files. Raises WeightsError."""
        return {
            name: 4 * count_values(self.folder / sub / WEIGHTS_FILE)
            for name, sub in (("unet", "unet"), ("vae", self.autoencoder))
        }


@dataclass(frozen=True, kw_only=True)
class EmbeddedPrompts:
    """The texts of a run as embeddings ``1 n c``; see `limpid.priors.upscaler.Prompts`."""

    book: PromptBook
    embeddings: Mapping[str, Tensor]
    warnings: tuple[str, ...] = ()
    """A sentence for each text that was cut off."""

    def positive(self, shot: int) -> Tensor:
        return self.embeddings[self.book.for_shot(shot)]

    def negative(self) -> Tensor:
        return self.embeddings[self.book.negative]


def load_upscaler(
    files: UpscalerFiles,
    placement: Placement,
    *,
    book: PromptBook,
    noise_level: int,
) -> UpscalerPrior:
    """The prior of an upscaler from its files, with the texts embedded.

    Raises WeightsError, or SettingsError when a library is missing.
    """
    from limpid.plan.allocator import free_memory
    from limpid.priors.load.offload import Parts

    prompts = embed(files.folder, book, placement)
    unet = load_unet(files, placement)
    vae = load_autoencoder(files, placement)
    free_memory()  # of the files and of other layouts
    return UpscalerPrior(
        networks=Parts(placement, unet=unet, vae=vae),
        prompts=prompts,
        low_res_alphas_cumprod=read_betas(files.folder / "low_res_scheduler", force_linear=False).alphas_cumprod(),
        noise_level=noise_level,
        device=placement.device,
        dtype=placement.dtype,
        latent_scale=float(vae.config.scaling_factor),
        lr_weight=files.lr_weight,
        warnings=prompts.warnings,
    )


def embed(folder: Path, book: PromptBook, placement: Placement) -> EmbeddedPrompts:
    from limpid.priors.text import encode_once

    texts, warnings = book.all(), list[str]()
    embeddings = encode_once(folder, texts, placement.device, placement.dtype, warnings.append)
    by_text = {text: e[None] for text, e in zip(texts, embeddings, strict=True)}
    return EmbeddedPrompts(book=book, embeddings=by_text, warnings=tuple(warnings))


def with_other_texts(prior: Any, placement: Placement, *, folder: Path, book: PromptBook) -> Any:
    """A prior with the same networks, told the texts of another book; it has fields ``prompts`` and ``warnings``."""
    prompts = embed(folder, book, placement)
    return replace(prior, prompts=prompts, warnings=prompts.warnings)


def load_unet(files: UpscalerFiles, placement: Placement) -> Any:
    from limpid.networks.unet.temporal_unet import TemporalUNet
    from limpid.priors.load.offload import compiled, place_network

    unet = from_folder(TemporalUNet, files.folder / "unet", placement.dtype, files.unet_options or {})
    return compiled(place_network(unet, placement), placement)


def load_autoencoder(files: UpscalerFiles, placement: Placement) -> Any:
    from limpid.networks import autoencoder as autoencoders
    from limpid.priors.load.offload import place_network, vae_dtype

    folder, dtype = files.folder / files.autoencoder, vae_dtype(placement)
    kind = getattr(autoencoders, _class_name(folder), None)
    if kind is None:
        raise WeightsError(f"{folder / 'config.json'} names the network {_class_name(folder)!r}, which is not known")
    return place_network(from_folder(kind, folder, dtype, files.autoencoder_options or {}), placement, dtype)


def _class_name(folder: Path) -> str:
    try:
        return str(read_config(folder / "config.json")["_class_name"])
    except (WeightsError, KeyError) as error:
        raise WeightsError(f"{folder / 'config.json'} is missing or damaged; convert the weights again") from error


def from_folder(kind: Any, folder: Path, dtype: Any, options: Mapping[str, Any]) -> Any:
    """A network of diffusers from a folder, without a network connection; what that raises becomes one sentence."""
    if not (folder / WEIGHTS_FILE).is_file():
        raise WeightsError(f"{folder / WEIGHTS_FILE} is missing; convert the weights again")
    if (folder / "config.json").is_file():
        check_config(read_config(folder / "config.json"))
    check_header(folder / WEIGHTS_FILE)
    try:
        network, found = kind.from_pretrained(
            folder, torch_dtype=dtype, local_files_only=True, output_loading_info=True, **options
        )
    except (OSError, *UNUSABLE) as error:
        raise WeightsError(f"{folder} cannot be loaded: {cut(' '.join(str(error)[:4000].split()), 300)}") from error
    refuse_incomplete(found["missing_keys"], str(folder))  # diffusers fills what a file lacks and goes on
    return network


def count_values(path: Path) -> int:
    """Numbers in all tensors of a safetensors file; reads its header only. Raises WeightsError."""
    file = SafetensorsFile(path)
    return sum(math.prod(file.file.get_slice(name).get_shape()) for name in file)
