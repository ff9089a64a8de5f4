"""Motion-guided sampling (MGLD section 3.2), without training and for any prior.

After every step the latents are moved down the gradient of their warping error: how far neighbours differ when one is
fetched along the optical flow of the input, where the flow can be followed. No network is differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.consistency.lane_flow import LaneFlows, lane_flows
from limpid.diffusion.samplers import posterior_variance
from limpid.flow.estimate import DISFlow, FlowEstimator
from limpid.flow.warp import occluded_compat, resize_flow, unoccluded, warp
from limpid.method import LaneContext, Strategy
from limpid.types import SettingsError, Step

Reduction = Literal["point", "sum", "mean"]
"""How the L1 norms of MGLD Eq. 2 are summed up, which the paper leaves open and which decides what its eta means.

``point``: the sum over all places of the mean over what one place has, its channels and the 8 terms of the paper's
sequences (two directions of the four pairs of five frames). So the gradient of an element is of the same size for any
picture and length, 1/8 at most, and eta = 10 lowers the error clearly and stays far from where steps overshoot.
``sum``: all elements alike, as MGLD Eq. 2 can be read. The gradient is 32 times that of ``point``: eta = 10 then moves
elements by several times the noise of their step, and the error rises.
``mean``: over the elements of each pair, as in the released code. The gradient of an element falls with the size of the
picture, and eta = 10 hardly moves anything.
"""
SEQUENCE_TERMS = 2 * (5 - 1)
"""Terms of MGLD Eq. 2 in a sequence of the paper, which has five frames."""
MOTION_LIMIT = 1.0
"""`MotionGuidance.limit` for samplers without noise of their own, whose frames agree before the last steps."""
HALVINGS = 6
"""Times that a limited change which would raise the error is halved before it is left out."""
LEAST_VARIANCE_COMPAT = 1e-20
"""The variance that the released code takes the logarithm of where it is 0."""
HALO_FRAMES = 4
"""Context around a segment: a frame is pulled towards its neighbours, and these towards theirs, a little every step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Motion:
    """Flow between neighbours on the grid of what is warped, ``t-1 2 h w``, and where it counts, ``t-1 1 h w`` (bool).

    ``to_next[i]`` and ``seen_next[i]`` stand on the grid of frame i, which frame i + 1 is fetched to;
    ``to_previous[i]`` and ``seen_previous[i]`` on that of frame i + 1, which frame i is fetched to.
    """

    to_next: Tensor
    to_previous: Tensor
    seen_next: Tensor
    seen_previous: Tensor

    @staticmethod
    def checked(to_next: Tensor, to_previous: Tensor, *, occlusion_compat: bool = False) -> Motion:
        """A `Motion` from two flows that are checked against each other: what is occluded, or fetched from outside the
        picture, does not count.

        ``occlusion_compat``: the released code's test, which does not look at the picture's edges.
        """

        def seen(there: Tensor, back: Tensor) -> Tensor:
            return ~occluded_compat(there, back) if occlusion_compat else unoccluded(there, back)

        return Motion(
            to_next=to_next,
            to_previous=to_previous,
            seen_next=seen(to_next, to_previous),
            seen_previous=seen(to_previous, to_next),
        )


def pair_error(pair: Tensor, motion: Motion, index: int, reduction: Reduction, pairing_compat: bool = False) -> Tensor:
    """MGLD Eq. 2 for frames ``index`` and ``index + 1``, ``2 c h w``, masked: L1 in both directions, a scalar.

    ``pairing_compat``: each frame is fetched along the flow of the pair that it left, and where there was none, zeros
    stand in its place, as in the released code; a static scene then has an error.
    """
    # MGLD Eq. 2: Warp(z_i, O_b,i) - z_{i+1} and Warp(z_{i+1}, O_f,i) - z_i, each times its mask M
    late = 1 if pairing_compat else 0
    there = _fetched(pair[:1], motion.to_previous, index - late) - pair[1:]
    back = _fetched(pair[1:], motion.to_next, index + late) - pair[:1]
    errors = (there * motion.seen_previous[index]).abs(), (back * motion.seen_next[index]).abs()
    if reduction == "mean":
        return errors[0].mean() + errors[1].mean()
    total = errors[0].sum() + errors[1].sum()
    return total / (pair.shape[1] * SEQUENCE_TERMS) if reduction == "point" else total


def _fetched(frame: Tensor, flows: Tensor, index: int) -> Tensor:
    if not 0 <= index < len(flows):
        return torch.zeros_like(frame)
    return warp(frame, flows[index : index + 1], "bilinear")


Plane = Callable[[Tensor], Tensor]
"""A linear map of latent pictures ``n c h w`` to what can be warped, ``n d H W``; differentiable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WarpingError:
    """MGLD Eq. 2 with masks, a function of frames ``t c h w``: the sum over all pairs of neighbours."""

    motion: Motion
    reduction: Reduction = "point"
    plane: Plane | None = None
    pairing_compat: bool = False

    def __call__(self, frames: Tensor) -> Tensor:
        """E(z) of frames ``t c h w``: a scalar, 0 for a single frame."""
        errors = [self._pair(frames[i : i + 2], i) for i in range(len(frames) - 1)]
        return torch.stack(errors).sum() if errors else frames.new_zeros(())

    def with_gradient(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The error and its gradient ``t c h w``, float32; pair by pair, so that memory does not grow with ``t``."""
        gradient = torch.zeros_like(frames, dtype=torch.float32)
        total = gradient.new_zeros(())
        for i in range(len(frames) - 1):
            with torch.enable_grad():
                pair = frames[i : i + 2].detach().float().requires_grad_()
                error = self._pair(pair, i)
            gradient[i : i + 2] += torch.autograd.grad(error, pair)[0]
            total += error.detach()
        return total, gradient

    def _pair(self, pair: Tensor, index: int) -> Tensor:
        seen = pair if self.plane is None else self.plane(pair)
        return pair_error(seen, self.motion, index, self.reduction, self.pairing_compat)


def step_variance(step: Step) -> float:
    """sigma_t^2 of MGLD Eq. 3: the variance of DDPM's posterior, of the step in variance-preserving form."""
    return posterior_variance(step) / (step.alpha_next**2 + step.sigma_next**2)


@dataclass(frozen=True, kw_only=True)
class MotionGuidance(Strategy):
    """MGLD Eq. 3 after every step of any sampler: ``z - scale sigma_t^2 gradient``.

    For noise levels of EDM, ``z`` is taken in variance-preserving form and back; an L1 error has the same gradient in
    both. With ``scale`` 0 it is the plain sampler.
    """

    scale: float = 10.0
    """The paper's eta."""
    reduction: Reduction = "point"
    limit: float | None = None
    """Most change of an element in one step, in units of sigma_t, and none that raises the error: it is halved, and at
    last left out. None: as much as MGLD Eq. 3 says.

    L1 has a gradient of the same length however near its minimum is, so frames that agree already are driven apart
    again by a length of step. DDPM's fresh noise is larger than that; samplers that add none keep it, and with few
    steps its flicker grows with eta."""
    plane: Plane | None = None
    """The part of the latent that is warped, where a latent pixel is more than a point of the picture; None: all."""
    plane_px: float = 1.0
    """Pixels of `plane` per LR pixel, along one axis."""
    estimator: FlowEstimator = field(default_factory=DISFlow)
    pairing_compat: bool = False
    """Pairs of frames and flows as the released code has them, see `pair_error`."""
    log_variance_compat: bool = False
    """The negative logarithm of sigma_t^2 in place of sigma_t^2, as in the released code."""
    occlusion_compat: bool = False
    """Masks of the released code: other norms, and nothing is left out at the edges of the picture."""

    def __post_init__(self) -> None:
        if self.scale < 0:
            raise SettingsError(f"the scale of motion guidance is {self.scale}; it must be 0 or more")
        if self.limit is not None and self.limit <= 0:
            raise SettingsError(f"the limit of motion guidance is {self.limit}; it must be above 0")

    def check(self, steps: tuple[Step, ...]) -> None:
        if self.scale and not any(self.amount(step) for step in steps):
            raise SettingsError(
                f"motion guidance has no effect in {len(steps)} step{'s'[: len(steps) > 1]}: it acts between steps, "
                "where noise is left; choose more steps or leave motion out of consistency"
            )

    def halo_frames(self, num_steps: int) -> tuple[int, int]:
        frames = HALO_FRAMES if self.scale else 0
        return frames, frames

    def amount(self, step: Step) -> float:
        """eta sigma_t^2 of MGLD Eq. 3: the factor of the gradient, in variance-preserving form."""
        variance = step_variance(step)
        if self.log_variance_compat:
            return -self.scale * math.log(max(variance, LEAST_VARIANCE_COMPAT))
        return self.scale * variance

    def begin(self, context: LaneContext) -> LaneFlows | None:
        return lane_flows(context, self.estimator) if self.scale else None

    def on_latent(self, z: Tensor, step: Step, context: LaneContext, state: LaneFlows | None) -> Tensor:
        amount = self.amount(step)
        if state is None or amount == 0:
            return z
        frames = z[0].transpose(0, 1)
        if state.ready is None:
            # flows and masks stay the same for all steps of a lane
            state.ready = self.error(state, frames)
        # eta sigma_t^2 grad (M o E(z)), in variance-preserving form, in which E has the same gradient
        before, gradient = state.ready.with_gradient(frames)
        change = gradient.mul_(amount)
        if self.limit is not None:
            most = self.limit * math.sqrt(step_variance(step))
            change = change.clamp_(-most, most)
        # back to the latent's own form
        change = change.mul_(math.hypot(step.alpha_next, step.sigma_next))
        moved = frames - change if self.limit is None else lowered(frames, change, before, state.ready)
        return moved.transpose(0, 1)[None].to(z)

    def error(self, flows: LaneFlows, frames: Tensor) -> WarpingError:
        """The warping error of a lane: its flows and masks M put on the grid that latents ``t c h w`` are warped on."""
        height, width = frames.shape[-2:] if self.plane is None else self.plane(frames[:1]).shape[-2:]
        ways = (flows.forward, flows.backward)
        there, back = (on_canvas(flow, height, width, self.plane_px).to(frames.device) for flow in ways)
        motion = Motion.checked(there, back, occlusion_compat=self.occlusion_compat)
        return WarpingError(
            motion=motion, reduction=self.reduction, plane=self.plane, pairing_compat=self.pairing_compat
        )


def lowered(frames: Tensor, change: Tensor, before: Tensor, error: WarpingError) -> Tensor:
    """``frames - change``, with less of it or none where that would raise the error from ``before``."""
    for _ in range(HALVINGS):
        moved = frames - change
        if error(moved) <= before:
            return moved
        change = change / 2
    return frames


def on_canvas(flow: Tensor, height: int, width: int, pixels: float) -> Tensor:
    """Flow of LR frames, ``n 2 h w``, on a larger canvas with ``pixels`` per LR pixel that may reach over the picture.

    What lies outside moves like the edge.
    """
    down, across = max(round(height / pixels) - flow.shape[-2], 0), max(round(width / pixels) - flow.shape[-1], 0)
    return resize_flow(F.pad(flow, (0, across, 0, down), mode="replicate"), height, width)
