"""Blended geometry: networks that see all of what they are given read overlapping pieces, which are blended.

The cuts belong to the result: windows and decoder chunks lie on a grid counted from the shot's first frame, segments
start on it, and neighbours of a shot have frames in common that are merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from typing import ClassVar

import torch
from torch import Tensor

from limpid.color.steady import steady_levels
from limpid.cuts.base import Canvas, Cut, Sizes
from limpid.cuts.blended_memory import choose_sizes
from limpid.cuts.cost import Demand
from limpid.plan.segments import LEAST_TILE_PX, Cutting, Rung, Stretch, halved
from limpid.tiling.blend import Axis, BlendWeights, Grid, kinds_of_axes
from limpid.tiling.plan import AxisSpan, overlapping_spans
from limpid.types import Segment


@dataclass(frozen=True, kw_only=True, slots=True)
class Blended:
    """Lengths and overlaps of a method's pieces. See `limpid.cuts.base.Cuts` for the members that it shares."""

    joint_frames: int = 0
    """How many frames of a segment's beginning are merged with what the segment before made of them."""
    context_frames: int = 0
    """Frames around a segment that are read with it."""
    segment_grid_frames: int = 1
    """Segments start at multiples of this, counted from the first frame of the shot."""
    window_frames: int | None = None
    """None: a segment is one window."""
    window_overlap_frames: int = 0
    window_weights: BlendWeights = "ramp"
    tile_px: int | None = None
    """None: the frame is one tile, unless memory is short."""
    tile_overlap_px: int = 0
    tile_weights: BlendWeights = "ramp"
    decode_frames: int | None = None
    """Frames per decoder call; None: all at once."""
    decode_overlap_frames: int = 0
    decode_tile_overlap_px: int = 0
    """How far the tiles of one decoder call overlap, where the decoder's memory asks for tiles."""
    released_compat: bool = False
    """Windows and decoder chunks as in released code: windows averaged in visiting order (`Axis.visited`), chunks of
    frames that know nothing of each other (`Axis.chunked`). For comparisons with it."""

    neighbours: ClassVar[tuple[int, ...]] = ()
    exact: ClassVar[bool] = False
    most_memory_bytes: ClassVar[int | None] = None
    reuses_freed_memory: ClassVar[bool] = False
    lower_note: ClassVar[str] = "; the result differs slightly from one with enough memory"

    def around(self, num_steps: int, strategy_frames: tuple[int, int]) -> tuple[int, int]:
        before, after = (max(self.context_frames, frames) for frames in strategy_frames)
        return before, max(after, self.joint_frames)

    def check_halo(self, segment: Segment, num_steps: int) -> None:
        """A segment of a blended method may have any halo."""

    # -- segments and chunks

    def stretches(self, segments: Sequence[Segment]) -> tuple[Stretch, ...]:
        """Each segment by itself: its length belongs to the result."""
        return tuple(Stretch(segments=(segment,)) for segment in segments)

    def chunk(self, stretch: Stretch, position: int, rung: Rung, halo_frames: int) -> Segment:
        """The segment itself."""
        return stretch.segments[0]

    def stream_cutting(self, cutting: Cutting, rung: Rung) -> Cutting:
        """A stream is cut as a file is."""
        return cutting

    # -- pieces of a chunk

    def pictures(
        self, height: int, width: int, rung: Rung, num_steps: int, margin_px: int = 0
    ) -> list[tuple[AxisSpan, AxisSpan]]:
        """None: tiles are blended at every step."""
        return []

    def cut(self, rung: Rung) -> Cut:
        return Cut(
            tile_px=rung.tile_px or self.tile_px,
            window_frames=rung.window_frames or self.window_frames,
            decode_tile_px=rung.decode_tile_px,
        )

    def denoise_grid(self, canvas: Canvas, cut: Cut) -> Grid:
        if self.released_compat:
            time = Axis.visited(canvas.frames, cut.window_frames, self.window_overlap_frames)
        else:
            overlap = _fitting(self.window_overlap_frames, cut.window_frames)
            time = Axis.overlapping(canvas.frames, cut.window_frames, overlap, self.window_weights, canvas.first)
        return Grid(time, *self._space(canvas, cut.tile_px, self.tile_overlap_px))

    def decode_grid(self, canvas: Canvas, cut: Cut, keep: range | None) -> Grid:
        keep = range(canvas.frames) if keep is None else keep
        if self.released_compat:
            time = Axis.chunked(canvas.frames, self.decode_frames)
        else:
            overlap = _fitting(self.decode_overlap_frames, self.decode_frames)
            time = Axis.overlapping(canvas.frames, self.decode_frames, overlap, offset=canvas.first)
        if cut.decode_tile_px is None:
            return Grid(time.touching(keep), *self._space(canvas, cut.tile_px, self.tile_overlap_px))
        return Grid(time.touching(keep), *self._space(canvas, cut.decode_tile_px, self.decode_tile_overlap_px))

    def encode_grid(self, canvas: Canvas, cut: Cut) -> Grid:
        return self.decode_grid(canvas, cut, None)

    def _space(self, canvas: Canvas, tile_px: int | None, overlap_px: int) -> tuple[Axis, Axis]:
        tile = None if tile_px is None else canvas.latents(tile_px)
        overlap = _fitting(canvas.latents(overlap_px) if overlap_px else 0, tile)
        down, across = kinds_of_axes(self.tile_weights)
        rows = Axis.overlapping(canvas.height, tile, overlap, down)
        return rows, Axis.overlapping(canvas.width, tile, overlap, across)

    def decoded_at_once(self) -> Blended:
        return replace(self, decode_frames=None)

    def decoded(self, grid: Grid, factor: int) -> Grid:
        down, across = kinds_of_axes(self.tile_weights)
        return Grid(grid.frames, grid.rows.scaled(factor, down), grid.columns.scaled(factor, across))

    def finished(self, frames: Tensor) -> Tensor:
        """On the CPU: the finished frames of a segment are the largest thing there is."""
        return frames.to("cpu", torch.float32)

    def levels(self, lr: Tensor) -> Tensor:
        """Levels of the input, steadied over the whole segment."""
        return steady_levels(lr)

    # -- seams

    def seam_frames(self, segment: Segment, rung: Rung) -> set[int]:
        window, core = rung.window_frames or self.window_frames, segment.core
        if window is None:
            return set()
        overlap, first = _fitting(self.window_overlap_frames, window), segment.halo.start
        places = ends_of(overlapping_spans(len(segment.halo), window, overlap, first - segment.shot_start))
        begins = max(core.start, segment.shot_start + 1)
        return {first + place for place in places if begins <= first + place < core.stop}

    def seams_px(self, side: int, rung: Rung) -> set[int]:
        tiles = ((rung.tile_px, self.tile_overlap_px), (rung.decode_tile_px, self.decode_tile_overlap_px))
        spans = (overlapping_spans(side, tile, _fitting(overlap, tile)) for tile, overlap in tiles if tile is not None)
        return {place for one in spans for place in ends_of(one)}

    # -- memory

    def sizes(self, demand: Demand) -> Sizes:
        return choose_sizes(self, demand)

    def ladder(self, rung: Rung, width: int, height: int) -> tuple[Rung, ...]:
        """Guidance in two halves, then smaller tiles; window lengths are kept, which a temporal network depends on.

        It is not known which of the two networks ran out, so their tiles shrink in turn, the decoder's first.
        """
        rungs: list[Rung] = []
        current, edge = rung, max(width, height)
        if current.batched_guidance:
            current = replace(current, batched_guidance=False)
            rungs.append(current)
        tiles = halved(min(current.tile_px or edge, edge), max(LEAST_TILE_PX, 2 * self.tile_overlap_px))
        decode_tiles = halved(min(current.decode_tile_px, edge), LEAST_TILE_PX // 2) if current.decode_tile_px else []
        for decode_tile, tile in zip_longest(decode_tiles, tiles):
            if decode_tile is not None:
                current = replace(current, decode_tile_px=decode_tile)
                rungs.append(current)
            if tile is not None:
                current = replace(current, tile_px=tile)
                rungs.append(current)
        return tuple(rungs)


def _fitting(overlap: int, length: int | None) -> int:
    """Pieces that became shorter than planned overlap by half at most, so that every step makes progress."""
    return overlap if length is None else min(overlap, length // 2)


def ends_of(spans: Sequence[AxisSpan]) -> set[int]:
    """Where pieces begin, or the ones before them have ended."""
    return {place for before, behind in pairwise(spans) for place in (behind.start, before.stop)}
