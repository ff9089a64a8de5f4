"""Small autoencoders, and their twins in diffusers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

WIDTHS = (32, 32, 64)


@pytest.fixture(scope="session")
def fold() -> Callable[[Tensor], Tensor]:
    """Frames folded into the batch: ``b c t h w`` to ``(b t) c h w``; folded ones stay as they are."""
    return lambda x: x if x.ndim == 4 else x.transpose(1, 2).flatten(0, 1)


@pytest.fixture(scope="session")
def randomized() -> Callable[[nn.Module], nn.Module]:
    """Gives every parameter a value that matters, the zero-initialised ones too."""

    def change(network: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                if parameter.ndim > 1:
                    parameter.copy_(noise * 0.8 * parameter[0].numel() ** -0.5)
                else:
                    parameter.copy_(noise * 0.1 + float("norm" in name and name.endswith("weight")))
        return network.eval()

    return change


@pytest.fixture(scope="session")
def twin(randomized: Callable[[nn.Module], nn.Module]) -> Any:
    """A small image autoencoder of diffusers, made like that of the x4 upscaler."""
    from diffusers import AutoencoderKL

    return randomized(
        AutoencoderKL(
            block_out_channels=WIDTHS,
            layers_per_block=2,
            latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            scaling_factor=0.08333,
        )
    )


@pytest.fixture(scope="session")
def twin_folder(twin: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twin") / "vae"
    twin.save_pretrained(folder)
    return folder


@pytest.fixture(params=["image", "video", "mixed"])
def any_vae(request: pytest.FixtureRequest, randomized: Callable[[nn.Module], nn.Module]) -> Any:
    """One of each kind, with random weights."""
    from limpid.networks.autoencoder import TemporalVAE, UpscalerVAE

    torch.manual_seed(0)
    if request.param == "image":
        return randomized(UpscalerVAE(block_out_channels=WIDTHS))
    if request.param == "mixed":
        return randomized(TemporalVAE(block_out_channels=WIDTHS))
    video = UpscalerVAE(
        block_out_channels=WIDTHS, temporal_decoder=True, lr_condition=True, lr_channels=32, norm_scope="window"
    )
    return randomized(video)
