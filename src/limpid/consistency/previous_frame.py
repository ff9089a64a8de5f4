"""Frame after frame: each is told what the frame before it became, warped to it along the flow.

This is how Stream-DiffVSR holds a video together (auto-regressive: a frame depends on none that comes later). What the
prior does with the warped frame is its own affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.flow.estimate import DISFlow, FlowEstimator
from limpid.method import Lane, LaneContext, Strategy
from limpid.types import Segment, Window

PREVIOUS, PREVIOUS_LR = "previous", "previous_lr"
"""Names under which a frame is handed to the next one: what it became, ``1 3 H W``, and what it was, ``1 3 h w``."""


class TellsPrevious(Protocol):
    """A condition that can hold the frame before."""

    def told(self, previous: Tensor) -> Any:
        """The condition with the frame before, warped to this one, ``1 3 H W`` in [-1, 1] (not clipped)."""
        ...


@dataclass(frozen=True, kw_only=True)
class PreviousFrame(Strategy):
    """Told the frame before: one lane per frame, and what it became goes from lane to lane and from segment to segment.

    The first frame of a shot is told nothing. ``scale``: output pixels per LR pixel; the flow is estimated between LR
    frames enlarged so, because it has to fit what is warped.
    """

    carries: bool = True
    causal: bool = True
    scale: int = 4
    estimator: FlowEstimator = field(default_factory=lambda: DISFlow(enlarge=1))

    def lanes(self, segment: Segment) -> tuple[Lane, ...]:
        return tuple(Lane(window=Window(start=i, stop=i + 1)) for i in range(segment.halo.start, segment.halo.stop))

    def begin(self, context: LaneContext) -> Tensor | None:
        """The warped frame before; None where a shot begins."""
        if PREVIOUS not in context.carry_in:
            return None
        previous = context.carry_in[PREVIOUS].to(context.lr) * 2 - 1
        return stretched_warp(previous, self._flow(context.lr, context.carry_in))

    def _flow(self, lr: Tensor, left: Mapping[str, Tensor]) -> Tensor:
        """Where each pixel of this frame was in the one before, ``1 2 H W``."""
        pair = [
            F.interpolate(frame, scale_factor=self.scale, mode="bicubic", align_corners=False)
            for frame in (lr, left[PREVIOUS_LR].to(lr))
        ]
        return self.estimator(*pair)

    def on_condition(self, condition: TellsPrevious, context: LaneContext, state: Tensor | None) -> Any:
        return condition if state is None else condition.told(state)

    def on_frames(self, frames: Tensor, context: LaneContext, state: Tensor | None) -> None:
        height, width = (self.scale * side for side in context.lr.shape[-2:])
        context.carry_out[PREVIOUS] = frames[..., :height, :width].float().clone()
        context.carry_out[PREVIOUS_LR] = context.lr.float().cpu()


def stretched_warp(x: Tensor, flow: Tensor) -> Tensor:
    """Fetch ``x`` along ``flow`` as Stream-DiffVSR was trained to have it fetched: from half a pixel too far out.

    Positions are scaled as if -1 and 1 were the centres of the first and last pixels, and read as if they were the
    picture's edges. So a flow of zero is not the identity: ``p`` is fetched from ``(p + f(p)) n / (n - 1) - 1/2``, half
    a pixel outwards at the borders and none in the middle. The released weights expect it; `limpid.flow.warp.warp` is
    without. ``x``: ``b c h w``; ``flow``: ``b 2 h w``, in pixels. Bilinear, what lies outside counts as zeros.
    """
    height, width = x.shape[-2:]
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None] + flow[:, 1]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype) + flow[:, 0]
    places = [2 * place / max(side - 1, 1) - 1 for place, side in ((columns, width), (rows, height))]
    return F.grid_sample(x, torch.stack(places, dim=-1), mode="bilinear", padding_mode="zeros", align_corners=False)
