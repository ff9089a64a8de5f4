"""What DOVER's two networks are shown of a clip: which frames, their fragments at full size, whole ones made small.

Frames are RGB uint8, ``t h w 3``. What is drawn at random is drawn as the authors' program draws it, from numpy's
legacy generator (frames) and torch's generator of the processor (fragments), so that a seed means the same there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.metrics.kinds import NotMeasurableError

CLIPS, CLIP_FRAMES = 3, 32
"""The technical network sees three clips of 32 frames, the aesthetic one 32 frames in all."""
_STRIDE = 2
_MEAN, _SPREAD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Colours of ImageNet in levels of 255."""


class DoverFrames(NamedTuple):
    """Numbers of the frames that each network sees."""

    technical: np.ndarray
    aesthetic: np.ndarray


def choose_frames(num_frames: int, chance: np.random.RandomState) -> DoverFrames:
    """The frames of a clip that DOVER looks at, 96 and 32; numbers beyond its end begin at the start again.

    A clip below 32 frames shows the aesthetic network its first frame only, as the authors' program does.
    """
    technical = _sampled(num_frames, parts=CLIPS, length=CLIP_FRAMES, chance=chance)
    return DoverFrames(technical, _sampled(num_frames, parts=CLIP_FRAMES, length=1, chance=chance))


def _sampled(num_frames: int, *, parts: int, length: int, chance: np.random.RandomState) -> np.ndarray:
    part, span = num_frames // parts, length * _STRIDE
    starts = np.arange(parts) * part
    if part > span:
        starts = starts + chance.randint(0, part - span, size=parts)
    return np.asarray((starts[:, None] + _STRIDE * np.arange(length)).reshape(-1) % num_frames)


@dataclass(frozen=True, kw_only=True)
class FragmentGrid:
    """Fragments: how many along an edge, the side of each in pixels, and for how many frames they stay in place."""

    cells: int = 7
    cell_px: int = 32
    group_frames: int = CLIP_FRAMES

    @property
    def view_px(self) -> int:
        """Side of the picture that the fragments make together."""
        return self.cells * self.cell_px

    def groups(self, num_frames: int) -> int:
        """Groups of frames; one frame alone is a group."""
        return max(1, num_frames // self.group_frames)


class Offsets(NamedTuple):
    """Where fragments begin in their cells, in pixels: ``cells cells groups`` each."""

    rows: np.ndarray
    columns: np.ndarray


def draw_offsets(
    height: int, width: int, groups: int, chance: torch.Generator, grid: FragmentGrid | None = None
) -> Offsets:
    """Offsets for frames of this size; rows first, and nothing is drawn along an axis without room."""
    grid = grid or FragmentGrid()
    shape = (grid.cells, grid.cells, groups)

    def drawn(side: int) -> np.ndarray:
        room = side // grid.cells - grid.cell_px
        return torch.randint(room, shape, generator=chance).numpy() if room > 0 else np.zeros(shape, np.int64)

    return Offsets(drawn(height), drawn(width))


def fragments(frames: np.ndarray, offsets: Offsets, grid: FragmentGrid | None = None) -> np.ndarray:
    """Fragments of all frames side by side, pixels as they are: ``t h w 3`` -> ``t view_px view_px 3``, uint8.

    Smaller frames are enlarged first; as in the authors' program the cells still lie where they would in the small one,
    so they overlap, and cover its top left part only. Raises NotMeasurableError for frames smaller than a cell.
    """
    grid = grid or FragmentGrid()
    height, width = frames.shape[1:3]
    if min(height, width) < grid.cell_px:
        raise NotMeasurableError(f"needs frames of at least {grid.cell_px} pixels, not {width}x{height}")
    large = _enlarged(frames, grid.view_px)
    view = np.empty((len(frames), grid.view_px, grid.view_px, 3), np.uint8)
    for group in range(offsets.rows.shape[-1]):
        of_group = slice(group * grid.group_frames, (group + 1) * grid.group_frames)
        for row, column in np.ndindex(grid.cells, grid.cells):
            top = _cell(row, height, grid) + offsets.rows[row, column, group]
            left = _cell(column, width, grid) + offsets.columns[row, column, group]
            y, x, side = row * grid.cell_px, column * grid.cell_px, grid.cell_px
            view[of_group, y : y + side, x : x + side] = large[of_group, top : top + side, left : left + side]
    return view


def _cell(number: int, side: int, grid: FragmentGrid) -> int:
    return int(min(side // grid.cells * number, side - grid.cell_px))


def _enlarged(frames: np.ndarray, least_px: int) -> np.ndarray:
    """Frames whose shorter side is at least this, bilinear, cut down to whole levels."""
    short = min(frames.shape[1:3]) / least_px
    if short >= 1:
        return frames
    return np.concatenate([_enlarged_at_once(part, 1 / short) for part in _parts(frames)])


def _parts(frames: np.ndarray) -> list[np.ndarray]:
    return [frames[n : n + CLIP_FRAMES] for n in range(0, len(frames), CLIP_FRAMES)]


def _enlarged_at_once(frames: np.ndarray, factor: float) -> np.ndarray:
    """Frames lie where channels do, as in the authors' program: rounding differs a little for other layouts."""
    x = torch.from_numpy(np.array(frames)).permute(3, 0, 1, 2).contiguous() / 255.0
    x = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    return (x * 255).to(torch.uint8).permute(1, 2, 3, 0).numpy()


def resized_view(frames: np.ndarray, side_px: int, *, antialias: bool = False) -> np.ndarray:
    """Whole frames as squares, bilinear, rounded: ``t h w 3`` -> ``t side side 3``, uint8.

    ``antialias``: as newer torchvision does the same call; the weights' authors had one that did not.
    """
    small = []
    for frame in frames:
        x = torch.from_numpy(np.array(frame, np.float32)).permute(2, 0, 1)[None]
        x = F.interpolate(x, (side_px, side_px), mode="bilinear", align_corners=False, antialias=antialias)
        small.append(x.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(small)


def normalised_view(view: np.ndarray) -> Tensor:
    """A view as the networks take it: ``t h w 3`` uint8 -> ``3 t h w`` in ImageNet's colours."""
    mean, spread = torch.tensor(_MEAN), torch.tensor(_SPREAD)
    return ((torch.from_numpy(view).float() - mean) / spread).permute(3, 0, 1, 2).contiguous()
