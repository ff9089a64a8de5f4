"""Flow-guided recurrent latent propagation (UAV section 3.3), without training.

At chosen steps the predicted clean latents are fused along the optical flow of the input: backward over all frames of
the lane first, then forward over the result. Texture that one window made up is handed on to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from limpid.consistency.lane_flow import LaneFlows, lane_flows
from limpid.flow.estimate import DISFlow, FlowEstimator
from limpid.flow.warp import Interpolation, resize_flow, valid_flow, warp
from limpid.method import LaneContext, Strategy
from limpid.types import SettingsError, Step

AUTHORS_STEPS = (0.8, 0.867, 0.934)
"""T* where nobody says: 24, 26 and 28 of 30 steps, the first example of the authors' program for video that flickers.
The paper (UAV section 3.3) has no numbers, but says late steps for severe jitter and early ones for minor."""
LEFT_SHARE = 1 / 256
"""What is left, at most, of the share that frames beyond a halo have in a propagated one."""
MOST_HALO_FRAMES = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Flows:
    """Flow between neighbours of one clip, ``b 2 t-1 h w`` in pixels, and where it is trusted, ``b 1 t-1 h w``.

    ``forward[:, :, i]`` and ``valid_forward[:, :, i]`` stand on the grid of frame i and lead to frame i + 1;
    ``backward[:, :, i]`` and ``valid_backward[:, :, i]`` stand on the grid of frame i + 1 and lead to frame i.
    """

    forward: Tensor
    backward: Tensor
    valid_forward: Tensor
    valid_backward: Tensor

    @staticmethod
    def checked(
        forward: Tensor,
        backward: Tensor,
        *,
        delta: float | None = None,
        adaptive: tuple[float, float] | None = None,
    ) -> Flows:
        """Check both directions against each other (UAV Eq. 2), by a fixed threshold or ``(alpha1, alpha2)``."""
        alpha1, alpha2 = adaptive or (0.0, 0.0)

        def check(there: Tensor, back: Tensor) -> Tensor:
            masks = [
                valid_flow(a, b, delta=delta, alpha1=alpha1, alpha2=alpha2)
                for a, b in zip(there.unbind(dim=2), back.unbind(dim=2), strict=True)
            ]
            return torch.stack(masks, dim=2) if masks else there[:, :1].bool()

        return Flows(
            forward=forward,
            backward=backward,
            valid_forward=check(forward, backward),
            valid_backward=check(backward, forward),
        )


def propagate(
    x0: Tensor,
    flows: Flows,
    *,
    fusion_weight: float = 0.5,
    interpolation: Interpolation = "nearest",
) -> Tensor:
    """UAV Eq. 3 in both directions: backward over ``x0`` (``b c t h w``), then forward over what that gave.

    ``fusion_weight`` in [0, 1] is the paper's beta, the share of what comes from the neighbour where the flow is
    trusted; 1 copies it (the mode "copy" of the released code). The flows must have the size of the latent.
    """
    backward = propagate_backward(x0, flows, fusion_weight, interpolation)
    return propagate_forward(backward, flows, fusion_weight, interpolation)


def propagate_backward(x0: Tensor, flows: Flows, beta: float, interpolation: Interpolation = "nearest") -> Tensor:
    """Propagation from the last frame to the first: each fetches from the one after it along the forward flow."""
    x0 = x0.clone()
    for i in range(x0.shape[2] - 2, -1, -1):
        # W(z~_0^{i+1}, f_{i -> i+1}), fused where the mask M trusts it
        fetched = warp(x0[:, :, i + 1], flows.forward[:, :, i], interpolation)
        x0[:, :, i] = fuse_valid(x0[:, :, i], fetched, flows.valid_forward[:, :, i], beta)
    return x0


def propagate_forward(x0: Tensor, flows: Flows, beta: float, interpolation: Interpolation = "nearest") -> Tensor:
    """Propagation from the first frame to the last: each fetches from the one before it along the backward flow."""
    x0 = x0.clone()
    for i in range(1, x0.shape[2]):
        # W(z~_0^{i-1}, f_{i -> i-1}), fused where the mask M trusts it
        fetched = warp(x0[:, :, i - 1], flows.backward[:, :, i - 1], interpolation)
        x0[:, :, i] = fuse_valid(x0[:, :, i], fetched, flows.valid_backward[:, :, i - 1], beta)
    return x0


def fuse_valid(current: Tensor, fetched: Tensor, valid: Tensor, beta: float) -> Tensor:
    """One frame of UAV Eq. 3: ``beta fetched + (1 - beta) current`` where ``valid``, else ``current``; ``b c h w``."""
    return torch.where(valid, beta * fetched + (1 - beta) * current, current)


@dataclass(frozen=True, kw_only=True)
class LatentPropagation(Strategy):
    """UAV's strategy: the predicted clean latent of the whole lane is propagated at chosen steps (T*).

    With no step it is the plain sampler. The lane is a segment with its halo: the paper propagates over the whole
    video, and here a shot is propagated whole where it is one segment (`whole_shots`).

    Early steps settle large structures, late ones calm texture that flickers. It reaches over windows, but forgets
    half with every frame: it smooths a change of texture from window to window and cannot keep a texture for long. A
    nearest warp moves by whole latent pixels, so texture finer than one is not followed through the motions between.
    """

    steps: tuple[int | float, ...] = ()
    """T* of the paper: loop indices (whole numbers, 0 is the noisiest step), or fractions of the schedule (floats in
    [0, 1))."""
    fusion_weight: float = 0.5
    consistency_px2: float = 0.25
    """The paper's threshold delta, in squared latent pixels: half a pixel, less than a nearest warp can tell apart."""
    adaptive_compat: tuple[float, float] | None = None
    """alpha1 and alpha2 of the released code's threshold, which grows with the motion: (0.001, 0.05) there."""
    interpolation: Interpolation = "nearest"
    estimator: FlowEstimator = field(default_factory=DISFlow)

    def __post_init__(self) -> None:
        for step in self.steps:
            if step < 0 or (isinstance(step, float) and step >= 1):
                raise SettingsError(
                    f"propagation step {step} is neither a loop index (0, 1, 2 ...) nor a fraction of the schedule "
                    "(0.0 up to, but not including, 1.0)"
                )
        if not 0 <= self.fusion_weight <= 1:
            raise SettingsError(f"the fusion weight of propagation is {self.fusion_weight}; it must be 0 to 1")
        if self.consistency_px2 <= 0:
            raise SettingsError(f"the flow threshold is {self.consistency_px2}; it must be above 0 squared pixels")

    @property
    def is_off(self) -> bool:
        return not self.steps or self.fusion_weight == 0

    def indices(self, count: int) -> frozenset[int]:
        """Loop indices of the chosen steps among ``count``. Raises SettingsError when a loop has no such step."""
        # 0.29 of 100 steps is step 29, although 0.29 * 100 falls short of it
        chosen = frozenset(int(step * count + 1e-6) if isinstance(step, float) else step for step in self.steps)
        beyond = sorted(index for index in chosen if index >= count)
        if beyond:
            raise SettingsError(f"propagation step {beyond[0]} does not exist: a run of {count} has 0 to {count - 1}")
        return chosen

    def check(self, steps: tuple[Step, ...]) -> None:
        self.indices(len(steps))

    @property
    def whole_shots(self) -> bool:
        return not self.is_off

    def halo_frames(self, num_steps: int) -> tuple[int, int]:
        frames = 0 if self.is_off else reach_frames(len(self.indices(num_steps)), self.fusion_weight)
        return frames, frames

    def begin(self, context: LaneContext) -> LaneFlows | None:
        return None if self.is_off else lane_flows(context, self.estimator)

    def on_x0(self, x0: Tensor, step: Step, context: LaneContext, state: Any) -> Tensor:
        if state is None or step.index not in self.indices(step.count):
            return x0
        if state.ready is None:
            # the mask M (UAV Eq. 2): the same for all steps of a lane
            state.ready = self._checked(state, x0)
        return propagate(x0, state.ready, fusion_weight=self.fusion_weight, interpolation=self.interpolation)

    def _checked(self, state: LaneFlows, x0: Tensor) -> Flows:
        """Flows with masks at the resolution of the latent; UAV's priors have one latent pixel per LR pixel."""
        forward, backward = (on_grid(flow, *x0.shape[-2:]).to(x0.device) for flow in (state.forward, state.backward))
        delta = self.consistency_px2 if self.adaptive_compat is None else None
        return Flows.checked(forward, backward, delta=delta, adaptive=self.adaptive_compat)


def reach_frames(passes: int, fusion_weight: float = 0.5) -> int:
    """How far ``passes`` propagations are felt in one direction, in frames, up to 24: beyond it a frame has a share of
    1/256 or less.

    One pass gives the frame at distance d a share of ``(1 - beta) beta^d``, so after n of them the distances are the
    failures before the n-th success of a coin that fails with probability beta.
    """
    beta, beyond = fusion_weight, 1.0
    for frames in range(MOST_HALO_FRAMES):
        beyond -= math.comb(frames + passes - 1, frames) * (1 - beta) ** passes * beta**frames
        if beyond <= LEFT_SHARE:
            return frames
    return MOST_HALO_FRAMES


def on_grid(flow: Tensor, height: int, width: int) -> Tensor:
    """Flows ``t 2 h w`` resized to another grid (`resize_flow`), as ``1 2 t h w``."""
    return resize_flow(flow, height, width).transpose(0, 1)[None]
