"""Neighbouring frames moved onto a frame along optical flow: what was filmed at a place is found there in all of them.

A network that is given them beside the frame need not search for motion, which small ones hardly learn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from limpid.flow.dis import dis_flow, warp_image
from limpid.types import LUMA_BT601

LEAST_SIDE_PX = 32
"""DIS cannot search smaller pictures; they are continued to this size by their last pixels."""
FLOW_UNITS = 32
"""Flow is kept in whole parts of a pixel, as fine as OpenCV interpolates."""
FLOW_BYTES_PER_PX = 4
"""Size of the flow to one neighbour."""
PICTURE_BYTES_PER_PX = 16
"""Size of a frame as it is held while flow to its neighbours is searched."""
SEARCH_BYTES_PER_PX = 64
"""What the search takes besides: pyramids, gradients, a flow in float32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """By how much the neighbours of a frame differ from it once they are moved onto it.

    Flow is that of whole frames, and each pixel is fetched by itself, so a part of a frame is told the same as it is
    within the whole.
    """

    flows: ClipFlows
    rows: slice = field(default_factory=lambda: slice(0, None))
    """Which part of each frame."""
    columns: slice = field(default_factory=lambda: slice(0, None))

    def part(self, rows: slice, columns: slice) -> Neighbours:
        """What a part of each frame is told, as slices of this one."""
        return replace(self, rows=_within(self.rows, rows), columns=_within(self.columns, columns))

    def __call__(self, number: int) -> Tensor:
        """Neighbour minus frame, ``3n h w`` float32, in the order of the distances; 0 where there is no such frame."""
        clip = self.flows
        here = clip.picture(number).colors[self.rows, self.columns]
        found = [np.zeros_like(here) for _ in clip.distances]
        for n, flow in enumerate(clip.flows(number)):
            if flow is not None:
                shown = clip.picture(number + clip.distances[n]).colors
                found[n] = _fetched(shown, flow, self.rows, self.columns) - here
        return torch.from_numpy(np.concatenate(found, axis=2)).permute(2, 0, 1)


class ClipFlows:
    """Flow of DIS from each frame of a clip to its neighbours, and those frames."""

    def __init__(self, frame: Callable[[int], Tensor], count: int, distances: tuple[int, ...], *, kept: bool) -> None:
        """``frame`` gives one of the ``count`` whole frames, ``3 h w`` float32 in [0, 1].

        ``distances``: which neighbours; -1 is the frame before. ``kept``: whether flows are kept, because several
        parts of the frames are asked for one after the other.
        """
        self.distances, self._count, self._kept = distances, count, kept
        self._flows: dict[int, list[np.ndarray | None]] = {}
        seen_at_once = 2 * max(map(abs, distances), default=0) + 1
        self.picture = lru_cache(seen_at_once)(lambda number: _Picture.of(frame(number)))

    def flows(self, number: int) -> list[np.ndarray | None]:
        """Flow to each neighbour, ``h w 2`` int16 in `FLOW_UNITS`; None where there is no such frame."""
        found = self._flows.get(number) or [self._flow(number, number + distance) for distance in self.distances]
        if self._kept:
            self._flows[number] = found
        return found

    def _flow(self, number: int, other: int) -> np.ndarray | None:
        if not 0 <= other < self._count:
            return None
        first, second = self.picture(number).luma, self.picture(other).luma
        height, width = first.shape
        flow = dis_flow(*(_large_enough(y) for y in (first, second)))[:height, :width]
        return np.asarray(np.clip(np.rint(flow * FLOW_UNITS), -(1 << 15), (1 << 15) - 1), np.int16)


@dataclass(frozen=True, slots=True)
class _Picture:
    """A whole frame as OpenCV reads it."""

    colors: np.ndarray
    """``h w 3`` float32 in [0, 1]"""
    luma: np.ndarray
    """``h w`` in 0..255"""

    @classmethod
    def of(cls, frame: Tensor) -> _Picture:
        colors = np.ascontiguousarray(frame.permute(1, 2, 0).float().cpu().numpy())
        return cls(colors, colors @ np.asarray(LUMA_BT601, np.float32) * 255)


def with_neighbours(frames: Tensor, distances: Sequence[int]) -> Tensor:
    """All frames of a clip with what is told of their neighbours behind them: ``t 3 h w`` -> ``t 3+3n h w``."""
    if not distances:
        return frames
    told = Neighbours(flows=ClipFlows(frames.__getitem__, len(frames), tuple(distances), kept=False))
    return torch.cat([frames, torch.stack([told(number) for number in range(len(frames))]).to(frames)], 1)


def _fetched(shown: np.ndarray, flow: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """What ``flow`` finds in ``shown`` for a part of the frame that it starts from."""
    part = flow[rows, columns].astype(np.float32) / FLOW_UNITS
    return warp_image(shown, part, cv2.INTER_CUBIC, top=rows.start, left=columns.start)


def _large_enough(luma: np.ndarray) -> np.ndarray:
    below, right = (max(LEAST_SIDE_PX - side, 0) for side in luma.shape)
    return np.pad(luma, ((0, below), (0, right)), mode="edge") if below or right else luma


def _within(whole: slice, part: slice) -> slice:
    start = whole.start + (part.start or 0)
    return slice(start, whole.stop if part.stop is None else whole.start + part.stop)
