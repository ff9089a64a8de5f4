"""Perturbed-attention guidance (Ahn et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limpid.attention.layers import middle_layer
from limpid.attention.patching import Attend, changed_attention
from limpid.guidance.arithmetic import added, extrapolated
from limpid.guidance.by_attention import ByAttention
from limpid.method import Denoise, Prior
from limpid.types import Prediction, Step

PAG_SCALE = 3.0
"""The scale of the experiments with Stable Diffusion in Ahn et al. 2024 (PAG section 5.2)."""


@dataclass(frozen=True, kw_only=True)
class PerturbedAttention(ByAttention):
    """PAG: away from a prediction in which the self-attention of the middle block has each token look at itself alone.

    ``classifier_free``: CFG of weight ``scale``, and ``pag_scale`` times the perturbed difference on top, three network
    calls (two with a ``scale`` of 1). Otherwise ``weak + scale (plain - weak)``, two (DC-VSR Eq. 6; one with 1).
    """

    pag_scale: float = PAG_SCALE

    @property
    def calls(self) -> int:
        return 3 if self.classifier_free else 2

    def predict(self, prior: Prior, denoise: Denoise, z: Tensor, step: Step, condition: Any) -> Prediction:
        """The guided prediction of ``z``. Raises SettingsError when no self-attention of the prior can be changed."""
        plain = denoise(z, condition, "main")
        if self.scale == 1.0 and not self.classifier_free:
            return plain
        # eps_PAG(x_t), whose middle self-attention is SA_perturb(Q, K, V) = V
        with changed_attention([(*middle_layer(prior), only_itself)]):
            weak = denoise(z, condition, "perturbed")
        if not self.classifier_free:
            return extrapolated(weak, plain, self.scale)
        # CFG first, the perturbed difference on top
        guided = plain
        if self.scale != 1.0:
            guided = extrapolated(denoise(z, condition.unconditional(), "negative"), plain, self.scale)
        return added(guided, weak, plain, self.pag_scale)


def only_itself(q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
    """SA_perturb: the identity in place of the matrix of weights, so that each query gets its own value.

    Values of other tiles come after those of the layer itself, and are not looked at.
    """
    return v[..., : q.shape[-2], :]
