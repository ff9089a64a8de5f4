"""Warping along optical flow in torch, and where a flow can be trusted; flow is in pixels of its own grid, x first."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Interpolation = Literal["nearest", "bilinear"]
UNFLOW = (0.01, 0.5)
"""alpha1 and alpha2 of UnFlow (Meister et al. 2018), in squared pixels; MGLD-VSR takes its masks from there."""


def warp(x: Tensor, flow: Tensor, mode: Interpolation = "nearest") -> Tensor:
    """Fetch ``x`` along ``flow``: ``out(p) = x(p + flow(p))``, and zero where that lies outside.

    ``x``: ``b c h w``; ``flow``: ``b 2 h w``. A position between pixels takes the nearest one (halves to the even
    one), or is interpolated, in which case what lies outside counts as zeros. Computed in float32, returned like ``x``.
    Raises ValueError when the sizes differ.
    """
    if flow.shape[-2:] != x.shape[-2:] or flow.shape[1] != 2:
        raise ValueError(f"a flow of {tuple(flow.shape)} does not fit {tuple(x.shape)}; it must be b 2 h w")
    height, width = x.shape[-2:]
    # p + f(p), in the coordinates of grid_sample
    target = _targets(flow.float()).permute(0, 2, 3, 1)
    # -1 and 1 at the outer edges of the picture, not at the centres of its last pixels: an axis of one pixel has these
    grid = (2 * target + 1) / target.new_tensor([width, height]) - 1
    return F.grid_sample(x.float(), grid, mode=mode, padding_mode="zeros", align_corners=False).to(x.dtype)


def resize_flow(flow: Tensor, height: int, width: int) -> Tensor:
    """Flow ``b 2 h w`` on another grid: averaged over areas, x scaled by the ratio of widths, y by that of heights.

    On a finer grid, which has less than a pixel of the old one to average, it is interpolated.
    """
    if flow.shape[-2:] == (height, width):
        return flow
    ratio = flow.new_tensor([width / flow.shape[-1], height / flow.shape[-2]]).reshape(1, 2, 1, 1)
    if height > flow.shape[-2] and width > flow.shape[-1]:
        return F.interpolate(flow, (height, width), mode="bilinear", align_corners=False) * ratio
    return F.interpolate(flow, (height, width), mode="area") * ratio


def valid_flow(
    forward: Tensor, backward: Tensor, *, delta: float | None = None, alpha1: float = 0.0, alpha2: float = 0.0
) -> Tensor:
    """The mask of a flow by forward-backward consistency: where following ``forward`` and then ``backward`` comes back.

    ``b 1 h w``, bool, on the grid of ``forward``.

    UAV Eq. 2: the error is ``E(p) = |f(p) + b(p + f(p))|^2`` in squared pixels, and valid is below the fixed threshold
    ``delta``, where the target is inside the picture. With ``alpha1`` and ``alpha2`` in its place the threshold grows
    with the motion, ``alpha1 (|f|^2 + |b(p + f)|^2) + alpha2``, and targets outside are not looked at, as in its
    released code. Flows: ``b 2 h w``. Raises ValueError when both kinds of threshold are given.
    """
    if delta is not None and (alpha1 or alpha2):
        raise ValueError("a flow is checked by a fixed threshold or by an adaptive one, not by both")
    # b(p + f(p)), and E(p)
    back = warp(backward, forward, "bilinear")
    error = _squared(forward + back)
    if delta is None:
        return error < alpha1 * (_squared(forward) + _squared(back)) + alpha2
    return (error < delta) & _inside(forward)


def within(flow: Tensor) -> Tensor:
    """The mask ``b 1 h w`` of places for which a bilinear `warp` along ``flow`` fetches only what is in the picture."""
    x, y = _targets(flow).unbind(dim=1)
    height, width = flow.shape[-2:]
    return ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))[:, None]


def unoccluded(flow: Tensor, back: Tensor) -> Tensor:
    """The mask of a flow that can be trusted: it comes back by UnFlow's test, and fetches only what is in the picture.

    Mask ``b 1 h w`` on the grid of ``flow``; ``back`` is the flow the other way, both ``b 2 h w``.
    """
    alpha1, alpha2 = UNFLOW
    return valid_flow(flow, back, alpha1=alpha1, alpha2=alpha2) & within(flow)


def occluded_compat(forward: Tensor, backward: Tensor) -> Tensor:
    """The occlusion test of MGLD-VSR's released code: mask ``b 1 h w`` on the grid of ``forward``.

    By lengths, not their squares, and with the length of ``backward`` where it stands, not where ``forward`` leads to:
    ``|f + b(p + f)| > 0.01 (|f| + |b|) + 0.5``. Flows: ``b 2 h w`` in pixels.
    """

    def length(flow: Tensor) -> Tensor:
        return _squared(flow).sqrt()

    error = length(forward + warp(backward, forward, "bilinear"))
    return error > 0.01 * (length(forward) + length(backward)) + 0.5


def _targets(flow: Tensor) -> Tensor:
    """The place that each pixel's flow points to, ``b 2 h w`` in pixels."""
    height, width = flow.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device, dtype=flow.dtype),
        torch.arange(width, device=flow.device, dtype=flow.dtype),
        indexing="ij",
    )
    return flow + torch.stack([x, y])


def _inside(flow: Tensor) -> Tensor:
    """The mask ``b 1 h w`` of flows whose target has a nearest pixel in the picture."""
    x, y = _targets(flow).unbind(dim=1)
    height, width = flow.shape[-2:]
    return ((x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5))[:, None]


def _squared(flow: Tensor) -> Tensor:
    return flow.square().sum(dim=1, keepdim=True)
