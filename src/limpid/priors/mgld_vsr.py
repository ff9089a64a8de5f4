"""The prior of MGLD-VSR: a denoiser told of the latent of the upscaled input, and a decoder that follows the input.

A latent pixel stands for 2x2 LR pixels. Where the LR size is odd, the last row or column is repeated, and the canvas is
larger than the picture. What is as large as the output is made for one tile at a time and not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.diffusion.parametrisations import from_eps
from limpid.priors.upscaler import LatentNetworks, Prompts
from limpid.tiling.blend import Axis, Blender, Grid
from limpid.types import Prediction, Scene, Step, Tile, Window

_SCALE = 4
LR_PER_LATENT = 2
"""LR pixels along the edge of a latent pixel."""
BICUBIC_REACH = 2
"""LR pixels to either side that a pixel of the enlarged picture depends on."""
_ENCODE_TILE = 64
"""Edge of an encoder's tile in latent pixels: 512 pixels of the picture, as the networks were trained on."""
_ENCODE_OVERLAP = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class MGLDVSRCondition:
    """A condition: what the networks of MGLD-VSR are told of some frames; on the device.

    ``lr``: the whole pictures, ``t 3 h w`` in [-1, 1], float32, of even size; ``place``: the part of them, in latent
    pixels, that this is about; ``structure``: the latent of the enlarged part, ``b 4 t h w``; texts ``b n c``.
    """

    lr: Tensor
    place: Tile
    structure: Tensor
    prompt: Tensor
    negative: Tensor

    def crop(self, window: Window, tile: Tile) -> MGLDVSRCondition:
        frames, here = slice(window.start, window.stop), self.place
        structure = self.structure[:, :, frames, tile.top : tile.bottom, tile.left : tile.right]
        place = Tile(
            top=here.top + tile.top,
            bottom=here.top + tile.bottom,
            left=here.left + tile.left,
            right=here.left + tile.right,
        )
        return replace(self, lr=self.lr[frames], place=place, structure=structure)

    def unconditional(self) -> MGLDVSRCondition:
        return replace(self, prompt=self.negative)

    def both(self) -> MGLDVSRCondition:
        pair = torch.cat([self.negative, self.prompt])
        return replace(self, prompt=pair, structure=self.structure.expand(2, -1, -1, -1, -1))


@dataclass(frozen=True, kw_only=True)
class MGLDVSRPrior:
    """The prior of MGLD-VSR (a `limpid.method.Prior`).

    ``decoder_weight``: how strongly the decoder follows features of the enlarged input (CFW), 0 to 1; 0 costs nothing.
    """

    networks: LatentNetworks
    prompts: Prompts
    device: torch.device
    dtype: torch.dtype
    decoder_weight: float = 0.5
    latent_scale: float = 0.18215
    """The factor of a latent of the autoencoder to become what the denoiser works on."""
    warnings: tuple[str, ...] = ()
    """Sentences that the user should read: a text that was cut off, for instance."""
    scale: int = _SCALE
    latent_channels: int = 4

    @property
    def self_attentions(self) -> tuple[tuple[str, nn.Module], ...]:
        """Self-attentions of the denoiser from input to output, see `limpid.attention.layers`."""
        layers: tuple[tuple[str, nn.Module], ...] = self.networks.use("unet").self_attentions
        return layers

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return -(-height // LR_PER_LATENT), -(-width // LR_PER_LATENT)

    def condition(self, lr: Tensor, scene: Scene) -> MGLDVSRCondition:
        frames = evened(lr.to(self.device, torch.float32) * 2 - 1)
        height, width = self.latent_size(*lr.shape[-2:])
        return MGLDVSRCondition(
            lr=frames,
            place=Tile(top=0, bottom=height, left=0, right=width),
            structure=torch.cat([self._encoded(frame[None], height, width) for frame in frames], dim=2),
            prompt=self.prompts.positive(scene.shot).to(self.device, self.dtype),
            negative=self.prompts.negative().to(self.device, self.dtype),
        )

    def _encoded(self, frame: Tensor, height: int, width: int) -> Tensor:
        """The scaled latent ``1 4 1 h w`` of one enlarged LR frame ``1 3 h w``, in overlapping tiles."""
        rows, columns = (Axis.overlapping(size, _ENCODE_TILE, _ENCODE_OVERLAP) for size in (height, width))
        grid, vae = Grid(Axis.overlapping(1, None, 0), rows, columns), self.networks.use("vae")
        blender = Blender(grid)
        for index in range(grid.num_tiles):
            mean: Tensor = vae.encode(enlarged(frame, grid.tile(index)).to(vae.dtype))[0]
            blender.add(mean.float().transpose(0, 1)[None] * self.latent_scale, 0, index)
        return blender.result()

    def encode(self, condition: MGLDVSRCondition) -> Tensor:
        return condition.structure[:1]

    def denoise(self, z: Tensor, step: Step, condition: MGLDVSRCondition) -> Prediction:
        out = self.networks.use("unet")(
            z.to(self.dtype),
            step.t,
            structure=condition.structure.to(self.dtype),
            encoder_hidden_states=condition.prompt,
        )
        return from_eps(z, out.float(), step)

    def decode(self, z: Tensor, condition: MGLDVSRCondition) -> Tensor:
        # the sequence decoder, told of features of the input: x + w f(e, x)
        vae = self.networks.use("vae")
        pictures = (z[0].transpose(0, 1) / self.latent_scale).to(vae.dtype)
        features = None
        if self.decoder_weight:
            each = zip(*self._features(vae, condition), strict=True)
            features = tuple(torch.cat(frames) for frames in each)
        frames = vae.decode(pictures, len(pictures), features, self.decoder_weight)
        done: Tensor = frames.float().clamp_(-1, 1).add_(1).div_(2)
        return done

    def _features(self, vae: Any, condition: MGLDVSRCondition) -> Iterator[Any]:
        """Features of the encoder for CFW, frame by frame: the inside of its first level is as large as the picture."""
        for frame in condition.lr:
            yield vae.features(enlarged(frame[None], condition.place).to(vae.dtype))


def evened(frames: Tensor) -> Tensor:
    """Frames ``t 3 h w`` of even height and width: the last row and column repeated where needed."""
    down, across = frames.shape[-2] % LR_PER_LATENT, frames.shape[-1] % LR_PER_LATENT
    return F.pad(frames, (0, across, 0, down), mode="replicate") if down or across else frames


def enlarged(frames: Tensor, place: Tile) -> Tensor:
    """The part ``place`` (latent pixels) of LR frames ``t 3 h w`` enlarged four times by bicubic interpolation.

    It is what enlarging the whole frames gives, cut out, without ever having them. Clamped to [-1, 1].
    """
    edges = ((place.top, place.bottom), (place.left, place.right))
    spans = [(LR_PER_LATENT * first, LR_PER_LATENT * last) for first, last in edges]
    outer = [(max(a - BICUBIC_REACH, 0), b + BICUBIC_REACH) for a, b in spans]
    (top, bottom), (left, right) = outer
    large = F.interpolate(frames[..., top:bottom, left:right], scale_factor=_SCALE, mode="bicubic", align_corners=False)
    rows, columns = (
        slice(_SCALE * (a - first), _SCALE * (b - first)) for (a, b), (first, _) in zip(spans, outer, strict=True)
    )
    return large[..., rows, columns].clamp(-1, 1)
