"""Averaging detail along the motion: against the flicker of networks that enlarge each frame by itself.

Detail is what a frame has beyond the plainly enlarged input. A frame's is averaged with that of its two neighbours,
fetched along the optical flow of the input, wherever the flow comes back and the inputs look alike there. Everything
coarser stays the frame's own, so a wrong flow can cost texture, but draws no ghosts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.consistency.lane_flow import LaneFlows, lane_flows
from limpid.flow.estimate import DISFlow, FlowEstimator
from limpid.flow.warp import resize_flow, unoccluded, warp
from limpid.method import LaneContext, Strategy
from limpid.types import Step

Fold = Callable[[Tensor], Tensor]
LIKENESS = 6 / 255
"""Difference of the inputs, root mean square over colours, at which a neighbour counts about 0.6 times as much."""


@dataclass(frozen=True, kw_only=True)
class DetailFilter(Strategy):
    """The detail of each clean frame becomes a weighted mean of its own and its neighbours'."""

    weight: float = 0.5
    """What a neighbour counts where it can be trusted; the frame itself counts 1."""
    pictures: Fold
    """Latents ``t c h w`` -> pictures ``t 3 H W``."""
    latents: Fold
    """The other way round."""
    estimator: FlowEstimator = field(default_factory=DISFlow)

    def halo_frames(self, num_steps: int) -> tuple[int, int]:
        return 1, 1

    def begin(self, context: LaneContext) -> LaneFlows | None:
        return lane_flows(context, self.estimator)

    def on_x0(self, x0: Tensor, step: Step, context: LaneContext, state: LaneFlows | None) -> Tensor:
        if state is None:
            return x0
        pictures = self.pictures(x0[0].transpose(0, 1))
        steady = filtered_detail(pictures, context.lr.to(pictures), state, self.weight)
        return self.latents(steady).transpose(0, 1)[None]


def filtered_detail(pictures: Tensor, lr: Tensor, flows: LaneFlows, weight: float) -> Tensor:
    """Pictures ``t 3 H W`` with detail averaged over three frames; ``lr``: ``t 3 h w``, of which they are made."""
    size = pictures.shape[-2:]
    detail = pictures - _enlarged(lr, size)
    total, count = detail.clone(), torch.ones_like(detail[:, :1])
    # what the frame after gives to the one before it, and the other way round
    ways = (
        (slice(None, -1), slice(1, None), flows.forward, flows.backward),
        (slice(1, None), slice(None, -1), flows.backward, flows.forward),
    )
    for here, there, to_there, back in ways:
        to_there, back = to_there.to(pictures), back.to(pictures)
        trust = weight * likeness(lr[here], warp(lr[there], to_there, "bilinear")) * unoccluded(to_there, back)
        trust = F.interpolate(trust, size, mode="bilinear")
        total[here] += trust * warp(detail[there], resize_flow(to_there, *size), "bilinear")
        count[here] += trust
    return pictures - detail + total / count


def likeness(a: Tensor, b: Tensor) -> Tensor:
    """1 where two inputs ``t 3 h w`` are the same, towards 0 where they differ: ``t 1 h w``."""
    return torch.exp(-(a - b).square().mean(dim=1, keepdim=True) / (2 * LIKENESS**2))


def _enlarged(lr: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(lr, size, mode="bicubic")
