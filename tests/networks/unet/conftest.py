"""Small U-Nets and their inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

SMALL: dict[str, Any] = {
    "block_out_channels": (32, 64, 64, 96),
    "layers_per_block": 1,
    "num_heads": 2,
    "cross_attention_dim": 16,
    "num_noise_levels": 30,
}
Unet = Any
Inputs = Callable[..., tuple[tuple[Tensor, int], dict[str, Tensor]]]


@pytest.fixture
def make_unet() -> Callable[..., Unet]:
    """A small U-Net in which every parameter is random, also those that usually begin with zeros."""

    def make(**changes: Any) -> Unet:
        from limpid.networks.unet.temporal_unet import TemporalUNet

        torch.manual_seed(0)
        return TemporalUNet(**{**SMALL, **changes}).eval()

    return make


@pytest.fixture
def make_inputs() -> Inputs:
    """Arguments of a call, drawn at random: ``unet(*args, **kwargs)``."""

    def make(batch: int = 1, frames: int = 3, height: int = 16, width: int = 8) -> Any:
        generator = torch.Generator().manual_seed(1)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        more = {
            "low_res": draw(batch, 3, frames, height, width),
            "encoder_hidden_states": draw(batch, 5, 16),
            "noise_level": torch.randint(0, 30, (batch,), generator=generator),
        }
        return (draw(batch, 4, frames, height, width), 321), more

    return make
