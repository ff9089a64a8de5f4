"""A denoiser that makes up texture from the noise of the window it is shown, and clips to run it on.

The latent is the luma of the x4 picture with 4x4 pixels folded into 16 channels. The clean latent is the enlarged
input, plus a picture of detail that the LR grid cannot carry, of fixed strength, derived from what ``z`` holds beyond
the input: mostly from all frames of the window together, moved along with the scene as temporal layers would, and to a
smaller part from each frame alone. Like a network with pooled norms it also shifts brightness by what a tile shows.
Different noise gives an unrelated texture; what an earlier step put into ``z`` shows through as noise recedes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from fakes import cuts_of, sample
from torch import Tensor

from limpid.cuts.blended import Blended
from limpid.diffusion.parametrisations import from_x0
from limpid.diffusion.samplers import DDIM
from limpid.diffusion.schedules import Betas, vp_steps
from limpid.method import Method, Strategy
from limpid.plan.segments import Cutting, plan_segments
from limpid.types import Prediction, Scene, Step, Tile, Window

SCALE = 4
LEVEL = 2 / 255
"""One level of 255 in latents, which run from -1 to 1."""


def unfold(pictures: Tensor) -> Tensor:
    """``t 1 4h 4w`` -> latent ``1 16 t h w``."""
    return F.pixel_unshuffle(pictures, SCALE).transpose(0, 1)[None]


@dataclass(frozen=True)
class Shown:
    """The enlarged input as a latent ``1 16 t h w``, and how fast the scene moves to the right, x4 pixels per frame."""

    enlarged: Tensor
    speed: int

    def crop(self, window: Window, tile: Tile) -> Shown:
        rows, columns = slice(tile.top, tile.bottom), slice(tile.left, tile.right)
        return replace(self, enlarged=self.enlarged[:, :, window.start : window.stop, rows, columns])


@dataclass(frozen=True, kw_only=True)
class Hallucinating:
    """See above. Strengths are in levels of 255; ``own_share`` is the energy of texture that a frame has for itself."""

    speed: int = 0
    texture_levels: float = 6.0
    own_share: float = 0.17
    pooled_levels: float = 6.0
    scale: int = SCALE
    latent_channels: int = SCALE**2

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def condition(self, lr: Tensor, scene: Scene) -> Shown:
        large = F.interpolate(lr[:, :1], scale_factor=SCALE, mode="bicubic", align_corners=False)
        return Shown(unfold(2 * large - 1), self.speed)

    def encode(self, condition: Shown) -> Tensor:
        return condition.enlarged

    def denoise(self, z: Tensor, step: Step, condition: Shown) -> Prediction:
        seen = z - step.alpha * condition.enlarged
        seen = seen - seen.mean(dim=1, keepdim=True)  # only what the LR grid cannot carry
        together = along(along(seen, -self.speed).mean(dim=2, keepdim=True).expand_as(seen), self.speed)
        texture = (1 - self.own_share) ** 0.5 * unit(together) + self.own_share**0.5 * unit(seen - together)
        brightness = self.pooled_levels * condition.enlarged.mean()
        x0 = condition.enlarged + LEVEL * (self.texture_levels * texture + brightness)
        return from_x0(z, x0, step)

    def decode(self, z: Tensor, condition: Shown) -> Tensor:
        pictures = F.pixel_shuffle(z[0].transpose(0, 1), SCALE)
        return (pictures / 2 + 0.5).repeat(1, 3, 1, 1)


def along(z: Tensor, speed: int) -> Tensor:
    """Moves each frame as the scene moves from the first one; what leaves on one side comes in on the other."""
    if speed == 0:
        return z
    pictures = F.pixel_shuffle(z[0].transpose(0, 1), SCALE)
    return unfold(torch.stack([torch.roll(picture, i * speed, dims=-1) for i, picture in enumerate(pictures)]))


def unit(z: Tensor) -> Tensor:
    """Each frame scaled to a root mean square of 1."""
    return z / z.square().mean(dim=(1, 3, 4), keepdim=True).sqrt().clamp(min=1e-6)


# ------------------------------------------------------------------------------------------------- clips


@cache
def scene(height: int, width: int) -> Tensor:
    """A periodic picture ``h w`` in [0.1, 0.9]: waves of many lengths, and brighter on the right."""
    generator = torch.Generator().manual_seed(4)
    spectrum = torch.fft.rfft2(torch.randn(height, width, generator=generator))
    rows = torch.fft.fftfreq(height)[:, None]
    columns = torch.fft.rfftfreq(width)[None]
    picture = torch.fft.irfft2(spectrum / (0.02 + (rows**2 + columns**2)), s=(height, width))
    ramp = torch.sin(2 * torch.pi * (torch.arange(width) / width - 0.5))
    picture = picture / picture.std() + ramp
    return 0.1 + 0.8 * (picture - picture.min()) / (picture.max() - picture.min())


def clip(frames: int, height: int, width: int, speed: int = 0) -> Tensor:
    """LR frames ``t 3 h w``: the scene, standing still or moving to the right by ``speed`` / 4 LR pixels per frame."""
    spectrum, waves = torch.fft.rfft2(scene(height, width)), torch.fft.rfftfreq(width)
    shifts = [torch.exp(-2j * torch.pi * waves * i * speed / SCALE) for i in range(frames)]
    pictures = torch.stack([torch.fft.irfft2(spectrum * shift, s=(height, width)) for shift in shifts])
    return (pictures[:, None].expand(-1, 3, -1, -1) * 255).round().clamp(0, 255) / 255


def to_arrays(frames: Tensor) -> list[np.ndarray]:
    """``t 3 h w`` in [0, 1] -> RGB ``h w 3`` in 0..255 per frame, as the measures want them."""
    return [np.ascontiguousarray(frame.permute(1, 2, 0).numpy() * 255) for frame in frames]


# -------------------------------------------------------------------------------------------------- runs


def method(prior: Hallucinating, strategy: Strategy, **changes: Any) -> Method:
    """Windows of 8 that overlap by 4, blended at each step; no colour correction that could hide a fault."""
    fields: dict[str, Any] = {
        "name": "hallucinating",
        "summary": "a fake",
        "load": lambda placement: prior,
        "scale": SCALE,
        "steps": 6,
        "make_schedule": lambda n: vp_steps(
            n, Betas(start=1e-4, end=0.02, shape="linear"), spacing="leading", offset=1
        ),
        "sampler": DDIM(),
        "strategy": strategy,
        "color": "none",
    }
    geometry = {"window_frames": 8, "window_overlap_frames": 4, "segment_grid_frames": 4}
    changes = {**geometry, **changes}
    return Method(**{**fields, "cuts": cuts_of(changes), **changes})


def run(m: Method, prior: Hallucinating, lr: Tensor, *, segment_frames: int | None = None, seed: int = 0) -> Tensor:
    """The whole clip as one shot, segment by segment as the engine would cut and run it; ``t 3 4h 4w``."""
    assert isinstance(m.cuts, Blended)
    grid, (before, after) = m.cuts.segment_grid_frames, m.cuts.around(m.steps, m.strategy.halo_frames(m.steps))
    length = -(-(segment_frames or len(lr)) // grid) * grid
    cutting = Cutting(
        frames=length,
        longest_frames=max(2 * length - 1, length),
        grid_frames=grid,
        halo_frames=before,
        tail_frames=after,
    )
    carry: dict[str, Tensor] = {}
    parts = []
    for segment in plan_segments([(0, len(lr))], Window(start=0, stop=len(lr)), cutting):
        left: dict[str, Tensor] = {}
        frames = lr[segment.halo.start : segment.halo.stop]
        steps = m.make_schedule(m.steps)
        parts.append(sample(m, prior, frames, segment, steps=steps, seed=seed, carry_in=carry, carry_out=left))
        carry = left
    return torch.cat(parts)
