"""The perceptual term: LPIPS with weights from local files, and what takes its place where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from limpid.checkpoints.folders import weights_root
from limpid.metrics.kinds import NotMeasurableError
from limpid.metrics.perceptual import ALEXNET_MIN_SIDE, lpips_distance, read_lpips
from limpid.train.losses.diffusion import per_clip
from limpid.train.losses.pixels import multi_scale_gradient
from limpid.types import WeightsError

FILES = ("alexnet-owt-7be5be79.pth", "lpips_alex.pth")
"""Those of the metric ``lpips``, or the same tensors as safetensors."""


@dataclass(frozen=True)
class LPIPS:
    """Mean of LPIPS v0.1 (Zhang et al. 2018, AlexNet) over the frames of each clip."""

    weights: Mapping[str, Tensor]
    name = "lpips"

    def __call__(self, made: Tensor, truth: Tensor) -> Tensor:
        """``b t 3 h w`` in [0, 1] -> ``b``. Raises ValueError for frames below 31 pixels a side."""
        if min(made.shape[-2:]) < ALEXNET_MIN_SIDE:
            raise ValueError(f"LPIPS needs frames of at least {ALEXNET_MIN_SIDE} px a side, not {tuple(made.shape)}")
        a, b = (x.flatten(0, 1).float().contiguous(memory_format=torch.channels_last) for x in (made, truth))
        return per_clip(torch.unflatten(lpips_distance(a, b, dict(self.weights)), 0, made.shape[:2]))


@dataclass(frozen=True)
class MultiScaleGradient:
    """What stands in for LPIPS: differences between neighbouring pixels at three sizes of the picture.

    Of what needs no learned weights, this and the focal frequency loss (Jiang et al. 2021) are common. Gradients were
    chosen because they say where an edge is missing: a spectrum of a crop is mostly that of its borders, and weighs a
    texture that is displaced as one that is absent. Like any distance of pixels it rewards no invented texture, so that
    results are smoother than with LPIPS.
    """

    name = "gradient"

    def __call__(self, made: Tensor, truth: Tensor) -> Tensor:
        """``b t 3 h w`` in [0, 1] -> ``b``."""
        return multi_scale_gradient(made, truth)


Perceptual = LPIPS | MultiScaleGradient


def find_perceptual(assets: Path | None, device: torch.device, notes: list[str]) -> Perceptual:
    """LPIPS where its files lie in ``assets`` (by default ``metrics`` in the folder of weights); else its stand-in.

    What was replaced is added to ``notes``. Raises WeightsError for files that are there and are not the weights.
    """
    folder, paths = _asked_for(assets)
    if not all(path.is_file() for path in paths):
        notes.append(
            f"the perceptual loss is a multi-scale gradient loss, because {' and '.join(FILES)} are not in {folder}: "
            f"expect smoother pictures than with LPIPS"
        )
        return MultiScaleGradient()
    try:
        weights = read_lpips(*paths)
    except NotMeasurableError as error:
        raise WeightsError(f"the weights of LPIPS cannot be used: {error}") from error
    return LPIPS({name: tensor.to(device) for name, tensor in weights.items()})


def has_perceptual(assets: Path | None) -> bool:
    """Whether the files of LPIPS are where `find_perceptual` looks for them."""
    return all(path.is_file() for path in _asked_for(assets)[1])


def _asked_for(assets: Path | None) -> tuple[Path, list[Path]]:
    folder = assets if assets is not None else weights_root() / "metrics"
    return folder, [_place(folder / name) for name in FILES]


def _place(path: Path) -> Path:
    other = path.with_suffix(".safetensors")
    return other if other.is_file() and not path.is_file() else path
