"""Detail-suppression self-attention guidance (DC-VSR section 3.3; DC-VSR Eq. 7 to 10)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limpid.attention.fused import softened_queries
from limpid.attention.layers import outer_layers
from limpid.attention.patching import Attend, Change, changed_attention
from limpid.guidance.arithmetic import extrapolated
from limpid.guidance.by_attention import ByAttention
from limpid.method import Denoise, Prior
from limpid.types import Prediction, Step


@dataclass(frozen=True, kw_only=True)
class DetailSuppression(ByAttention):
    """DSSAG: away from a prediction whose self-attention blurs, ``weak + w (plain - weak)``; w of 1 is the plain one.

    The weak prediction also lacks the prompt where the guidance is ``classifier_free`` (DC-VSR Eq. 9), so that one
    difference does both; otherwise it is told the same as the other (DC-VSR Eq. 8). Two network calls either way.
    ``scale`` is w, which is ``1 + s`` in the paper.
    """

    rho: float = 0.5
    """rho of DC-VSR Eq. 10: how fast suppression falls with the noise."""
    first_layers: int = 2
    last_layers: int = 2

    @property
    def calls(self) -> int:
        return 2

    def predict(self, prior: Prior, denoise: Denoise, z: Tensor, step: Step, condition: Any) -> Prediction:
        """The guided prediction of ``z``. Raises SettingsError when no self-attention of the prior can be changed."""
        gamma = suppression(step, self.rho)
        if self.scale == 1.0 or (gamma == 0.0 and not self.classifier_free):
            return denoise(z, condition, "main")
        # eps'(x_t): the outermost self-attentions softened, and told less where that is one guidance with CFG
        layers = outer_layers(prior, self.first_layers, self.last_layers)
        change = soften(gamma)
        with changed_attention([(name, layer, change) for name, layer in layers]):
            weak = denoise(z, condition.unconditional() if self.classifier_free else condition, "suppressed")
        # eps'(x_t) + (1 + s) (eps(x_t, c) - eps'(x_t))
        return extrapolated(weak, denoise(z, condition, "main"), self.scale)


def suppression(step: Step, rho: float) -> float:
    """The suppression ``gamma`` of DC-VSR Eq. 10: 1 at the first step of the whole schedule, 0 at the last.

    Noise levels are those of the whole schedule, also in a run of less strength, whose first step is a later one. A
    schedule of one step has no range: 1. VP schedules are measured as EDM's, by noise per signal.
    """
    if step.noise_range is None:
        raise ValueError("the step does not know the noise range of its schedule; make it with limpid.diffusion")
    first, last = (math.log(noise) for noise in step.noise_range)
    if first <= last:
        return 1.0
    # (ln sigma_t - ln sigma_T) / (ln sigma_0 - ln sigma_T)
    share = (math.log(step.noise) - last) / (first - last)
    return float(max(0.0, share) ** rho)


def soften(gamma: float) -> Change:
    """A change to attention with lower contrast between its weights (DC-VSR Eq. 7); ``gamma`` 0 is the plain one."""

    def change(q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
        return attend(softened_queries(q, k, gamma), k, v)

    return change
