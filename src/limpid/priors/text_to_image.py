"""The prior of Stable Diffusion, one picture at a time: to compare guidance where the papers did (DC-VSR Table 3).

Networks are those of diffusers. A picture is a clip of one frame, so that guidance and samplers are those of videos.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from limpid.diffusion.parametrisations import from_eps, from_v
from limpid.types import Prediction, Step

SD_PIXELS_PER_LATENT = 8
SD_LATENT_CHANNELS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class TextCondition:
    """A text and what stands for none, embedded, ``b n c`` each."""

    text: Tensor
    negative: Tensor

    def unconditional(self) -> TextCondition:
        return replace(self, text=self.negative)

    def both(self) -> TextCondition:
        return replace(self, text=torch.cat([self.negative, self.text]))


@dataclass(frozen=True, kw_only=True)
class TextToImagePrior:
    """Stable Diffusion as guidance sees a prior: latents ``b 4 1 h w``, a text, self-attentions that can be changed."""

    unet: Any
    vae: Any
    self_attentions: tuple[tuple[str, nn.Module], ...]
    predicts: Literal["epsilon", "v_prediction"] = "epsilon"

    @property
    def device(self) -> torch.device:
        found: torch.device = self.unet.device
        return found

    def denoise(self, z: Tensor, step: Step, condition: TextCondition) -> Prediction:
        """One call of the network."""
        text = condition.text.to(self.device, self.unet.dtype)
        told = self.unet(z[:, :, 0].to(self.unet.dtype), step.t, encoder_hidden_states=text)
        out = told.sample.float()[:, :, None]
        return from_eps(z, out, step) if self.predicts == "epsilon" else from_v(z, out, step)

    def decode(self, z: Tensor) -> Tensor:
        """Latents ``1 4 1 h w`` -> a picture ``3 8h 8w`` in [0, 1]."""
        latents = z[:, :, 0] / float(self.vae.config.scaling_factor)
        picture: Tensor = self.vae.decode(latents.to(self.vae.dtype)).sample[0].float()
        return picture.add(1).div(2).clamp(0, 1)
