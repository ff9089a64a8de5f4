"""A method of another package: bicubic upscaling with an unsharp mask, as a prior that needs no weights.

The entry point in ``pyproject.toml`` is all that Limpid needs: it names the function, and the keyword parameters of
that function are the method's options. What a method gets for it: any length in bounded memory, sound, resuming.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from limpid.cuts.local import Local
from limpid.diffusion.parametrisations import from_x0
from limpid.diffusion.samplers import Euler
from limpid.diffusion.schedules import karras_steps
from limpid.method import Method
from limpid.types import Prediction, Scene, Step, Tile, Window


@dataclass(frozen=True)
class Told:
    """What the "network" is told: the LR frames, ``1 3 t h w``."""

    lr: Tensor

    def crop(self, window: Window, tile: Tile) -> Told:
        return Told(self.lr[:, :, window.start : window.stop, tile.top : tile.bottom, tile.left : tile.right])


class Sharper:
    """A prior whose latent is the LR frame: it predicts the sharpened frame, and decodes bicubically."""

    scale = 4
    latent_channels = 3
    warnings: tuple[str, ...] = ()

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def condition(self, lr: Tensor, scene: Scene) -> Told:
        return Told(lr.transpose(0, 1)[None])

    def encode(self, condition: Told) -> Tensor:
        return condition.lr

    def denoise(self, z: Tensor, step: Step, condition: Told) -> Prediction:
        frames = condition.lr[0].transpose(0, 1)
        smooth = F.avg_pool2d(F.pad(frames, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return from_x0(z, (frames + 0.7 * (frames - smooth)).transpose(0, 1)[None], step)

    def decode(self, z: Tensor, condition: Told) -> Tensor:
        return F.interpolate(z[0].transpose(0, 1), scale_factor=4, mode="bicubic")


def sharper() -> Method:
    """One step; the mask sees one pixel, the interpolation two, and no other frame."""
    return Method(
        name="sharper",
        summary="bicubic and an unsharp mask, as an example of a package that adds a method",
        load=lambda placement: Sharper(),
        scale=4,
        steps=1,
        make_schedule=lambda count: karras_steps(count, sigma_min=0.1, sigma_max=1.0),
        sampler=Euler(),
        cuts=Local(reach_px=1, decode_reach_px=2),
        color="none",
    )
