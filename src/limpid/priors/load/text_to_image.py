"""A folder of Stable Diffusion as diffusers writes it -> a prior, its schedule, and its text encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from limpid.diffusion.schedules import vp_steps
from limpid.priors.dc_vsr import spatial_self_attentions
from limpid.priors.load.schedule_config import read_betas, read_schedule
from limpid.priors.load.upscaler import from_folder
from limpid.priors.text_to_image import SD_LATENT_CHANNELS, TextToImagePrior
from limpid.types import Placement, Step, WeightsError


def load_text_to_image(folder: Path, placement: Placement) -> TextToImagePrior:
    """Stable Diffusion 1 or 2 from ``unet`` and ``vae``; nothing is downloaded. Raises WeightsError."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    unet = from_folder(UNet2DConditionModel, folder / "unet", placement.dtype, {})
    if unet.config.in_channels != SD_LATENT_CHANNELS:
        raise WeightsError(
            f"the denoiser in {folder} takes {unet.config.in_channels} channels; one that makes pictures of a text "
            f"takes {SD_LATENT_CHANNELS}"
        )
    vae = from_folder(AutoencoderKL, folder / "vae", torch.float32, {})
    unet, vae = (network.to(placement.device).eval().requires_grad_(False) for network in (unet, vae))
    return TextToImagePrior(
        unet=unet, vae=vae, self_attentions=spatial_self_attentions(unet), predicts=_predicts(folder)
    )


def _predicts(folder: Path) -> Literal["epsilon", "v_prediction"]:
    said = read_schedule(folder / "scheduler").prediction_type
    if said == "epsilon":
        return "epsilon"
    if said == "v_prediction":
        return "v_prediction"
    raise WeightsError(f"{folder / 'scheduler'}: the network predicts {said!r}; epsilon and v_prediction are known")


def text_to_image_steps(folder: Path, num_steps: int) -> tuple[Step, ...]:
    """DDIM's schedule as the folder configures it. Raises WeightsError."""
    config = read_schedule(folder / "scheduler")
    betas = read_betas(folder / "scheduler", force_linear=False)
    offset = config.steps_offset if config.spacing == "leading" else 0
    return vp_steps(num_steps, betas, spacing=config.spacing, offset=offset, final_alpha=config.final_alpha)
