"""Self-attention guidance (Hong et al. 2023): away from a prediction for a latent that is blurred where it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.attention.fused import column_sums
from limpid.attention.layers import middle_layer, token_grid
from limpid.attention.patching import Attend, Change, changed_attention
from limpid.guidance.arithmetic import added, extrapolated
from limpid.guidance.by_attention import ByAttention
from limpid.method import Denoise, Prior
from limpid.types import Prediction, Step

SAG_SCALE = 0.75
"""The scale of the experiments with Stable Diffusion in Hong et al. 2023."""
MASK_THRESHOLD = 1.0
"""psi of the paper: a place is blurred when it gets more than the average weight."""
BLUR_RADIUS, _BLUR_SIGMA = 4, 1.0
"""Reach and standard deviation of the Gaussian blur in latent pixels, those of the authors' code."""


@dataclass(frozen=True, kw_only=True)
class SelfAttentionGuidance(ByAttention):
    """SAG: away from a prediction for a latent that is blurred where the middle block's self-attention looks.

    The predicted clean latent is blurred there, the same noise is put back, and the network predicts from that.

    ``classifier_free``: CFG of weight ``scale``, and ``sag_scale`` times the blurred difference, of the unconditional
    prediction as in the paper, on top: three network calls (with a ``scale`` of 1 two, of the conditional one).
    Otherwise ``weak + scale (plain - weak)``, two (DC-VSR Eq. 5; one with 1).
    """

    sag_scale: float = SAG_SCALE

    @property
    def calls(self) -> int:
        return 3 if self.classifier_free else 2

    def predict(self, prior: Prior, denoise: Denoise, z: Tensor, step: Step, condition: Any) -> Prediction:
        """The guided prediction of ``z``. Raises SettingsError when no self-attention of the prior can be changed."""
        if self.scale == 1.0 and not self.classifier_free:
            return denoise(z, condition, "main")
        both = self.classifier_free and self.scale != 1.0
        looked, branch = (condition.unconditional(), "negative") if both else (condition, "main")
        # eps(x_t), and how much each token of the middle block is looked at
        sums: list[Tensor] = []
        with changed_attention([(*middle_layer(prior), record(sums))]):
            plain = denoise(z, looked, branch)
        # eps(b(x_t)), b blurring where that is more than psi
        weak = blurred_prediction(denoise, z, step, looked, plain, mask_like(torch.cat(sums), z))
        if not self.classifier_free:
            return extrapolated(weak, plain, self.scale)
        # CFG first, the blurred difference on top
        guided = extrapolated(plain, denoise(z, condition, "main"), self.scale) if both else plain
        return added(guided, weak, plain, self.sag_scale)


def blurred_prediction(
    denoise: Denoise, z: Tensor, step: Step, condition: Any, plain: Prediction, mask: Tensor
) -> Prediction:
    """The weak prediction, ``eps(b(x_t))`` of DC-VSR Eq. 5, with the clean latent ``(z - sigma eps) / alpha`` of ``z``.

    That latent is written as a sum of small terms, because at EDM's noise levels the quotient loses all digits.
    """
    blurred = torch.where(mask, gaussian_blur(plain.x0), plain.x0)
    weak = denoise(step.alpha * blurred + step.sigma * plain.eps, condition, "blurred")
    return Prediction(x0=weak.x0 + (plain.x0 - blurred), eps=weak.eps)


def record(sums: list[Tensor]) -> Change:
    """A change to attention that only notes how much each of its own tokens is looked at, ``n tokens``, in ``sums``."""

    def change(q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
        sums.append(column_sums(q, k)[:, : q.shape[-2]])
        return attend(q, k, v)

    return change


def mask_like(sums: Tensor, z: Tensor) -> Tensor:
    """The mask of places to blur, ``1 1 t h w`` bool for ``z`` of ``1 c t h w``, from the sums ``t tokens``."""
    height, width = z.shape[-2:]
    maps = sums.view(-1, *token_grid(sums.shape[-1], height, width))
    mask = F.interpolate((maps > MASK_THRESHOLD).float()[:, None], (height, width), mode="nearest")
    return mask.transpose(0, 1)[None].to(z.device) > 0.5


def gaussian_blur(x: Tensor) -> Tensor:
    """Gaussian blur of ``1 c t h w``, each frame and channel by itself, with the border repeated."""
    places = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (places / _BLUR_SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    pictures = F.pad(x.flatten(0, 2)[:, None], [BLUR_RADIUS] * 4, mode="replicate")
    rows = F.conv2d(pictures, kernel[None, None, :, None])
    return F.conv2d(rows, kernel[None, None, None, :]).reshape(x.shape)
