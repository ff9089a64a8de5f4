"""Image networks as priors: what any super-resolution network makes of single frames, in the engine's terms.

There is no noise in it: one step, whose "prediction" is the finished frame. The latent is that frame with the pixels of
each input pixel as channels (``3 s^2 h w``), so that strategies can work on it and tiles can be put together. The noise
of the first latent, which nobody reads, has a single channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.runtimes.probe import ImageNetworkFacts
from limpid.types import Prediction, Scene, Step, Tile, WeightsError, Window

_EDGE_PX = 8
"""Repeated around each picture and cut away afterwards, input pixels at least: networks pad with black."""
EnlargeFrames = Callable[[Tensor], Tensor]
"""Frames ``t 3 h w`` in [0, 1] -> ``t 3 H W``, float32 on the same device."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LRFrames:
    """A condition that is nothing but the LR frames, ``t 3 h w``."""

    lr: Tensor

    def crop(self, window: Window, tile: Tile) -> LRFrames:
        part = self.lr[window.start : window.stop, :, tile.top : tile.bottom, tile.left : tile.right]
        return LRFrames(lr=part)


class ImagePrior:
    """An image network (a `limpid.method.Prior`)."""

    def __init__(self, enlarge: EnlargeFrames, facts: ImageNetworkFacts) -> None:
        self.enlarge, self.facts = enlarge, facts
        self.scale, self.latent_channels = facts.scale, 1
        self.warnings: tuple[str, ...] = ()

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def condition(self, lr: Tensor, scene: Scene | None = None) -> LRFrames:
        return LRFrames(lr=lr)

    def encode(self, condition: LRFrames) -> Tensor:
        raise NotImplementedError("an image network starts from nothing but the frames")

    def denoise(self, z: Tensor, step: Step, condition: LRFrames) -> Prediction:
        """The finished frames as latents ``1 3s^2 t h w``; ``z`` says nothing. Raises WeightsError for no numbers."""
        frames = [self.enlarged(frame[None]) for frame in condition.lr]
        latents = F.pixel_unshuffle(torch.cat(frames), self.scale).transpose(0, 1)[None]
        return Prediction(x0=latents, eps=latents.new_zeros(1).expand_as(latents))

    def decode(self, z: Tensor, condition: LRFrames) -> Tensor:
        return F.pixel_shuffle(z[0].transpose(0, 1), self.scale)

    def enlarged(self, frame: Tensor) -> Tensor:
        """One frame ``1 3 h w`` in [0, 1] -> ``1 3 sh sw``, not clipped: padded by its edge, enlarged, cut.

        Raises WeightsError for what is no number.
        """
        (height, width), facts = frame.shape[-2:], self.facts
        edge = -(-max(_EDGE_PX, -(-facts.shrink_px // (2 * facts.scale))) // facts.align_px) * facts.align_px
        more = (-(height + 2 * edge) % facts.align_px, -(width + 2 * edge) % facts.align_px)
        large = self.enlarge(F.pad(frame, (edge, edge + more[1], edge, edge + more[0]), mode="replicate"))
        begin = edge * facts.scale - facts.shrink_px // 2
        part = large[..., begin : begin + height * facts.scale, begin : begin + width * facts.scale]
        if not bool(torch.isfinite(part.sum())):
            raise WeightsError("the image network makes what is no number of a frame; other weights are needed")
        return part
