"""Local geometry: a network that sees a known neighbourhood reads it as a halo, and only the core is kept.

A kept pixel has seen just what it would see without cuts, so frames come out with the same bits for any segment, chunk
or tile (in float32; lower formats may round differently for other sizes). Memory does not depend on the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from limpid.cuts.base import Canvas, Cut, Sizes
from limpid.cuts.cost import Demand
from limpid.cuts.local_memory import fit, load_of
from limpid.plan.memory import MOST_BYTES
from limpid.plan.segments import (
    ALIGN_PX,
    LEAST_TILE_PX,
    Cutting,
    Rung,
    Stretch,
    add_halo,
    choose_cutting,
    halved,
    round_up,
)
from limpid.tiling.blend import Axis, Grid
from limpid.tiling.plan import AxisSpan
from limpid.types import Segment, Window


@dataclass(frozen=True, kw_only=True, slots=True)
class Local:
    """How far a local network looks, and the lengths of its calls. See `limpid.cuts.base.Cuts` for the members."""

    reach_frames: int = 0
    """How many frames to either side one denoiser call looks at."""
    reach_px: int = 0
    """How far one denoiser call looks, in LR pixels."""
    decode_reach_frames: int = 0
    decode_reach_px: int = 0
    window_frames: int | None = None
    tile_px: int | None = None
    decode_frames: int | None = None
    """Frames per decoder call; None: as many as per denoiser call."""
    neighbours: tuple[int, ...] = ()

    joint_frames: ClassVar[int] = 0
    exact: ClassVar[bool] = True
    most_memory_bytes: ClassVar[int | None] = MOST_BYTES
    reuses_freed_memory: ClassVar[bool] = True
    lower_note: ClassVar[str] = ""

    def halo_frames(self, num_steps: int) -> int:
        """Frames that ``num_steps`` denoiser calls and the decoder look beyond a frame."""
        return self.reach_frames * num_steps + self.decode_reach_frames

    def halo_px(self, num_steps: int) -> int:
        """LR pixels that ``num_steps`` denoiser calls and the decoder look beyond a pixel."""
        return self.reach_px * num_steps + self.decode_reach_px

    def around(self, num_steps: int, strategy_frames: tuple[int, int]) -> tuple[int, int]:
        return self.halo_frames(num_steps), self.halo_frames(num_steps)

    def check_halo(self, segment: Segment, num_steps: int) -> None:
        needed = self.halo_frames(num_steps)
        start = max(segment.core.start - needed, segment.shot_start)
        stop = min(segment.core.stop + needed, segment.shot_stop)
        if segment.halo.start > start or segment.halo.stop < stop:
            raise ValueError(f"segment {segment.index} needs frames {start} to {stop}, its halo is {segment.halo}")

    # -- segments and chunks

    def stretches(self, segments: Sequence[Segment]) -> tuple[Stretch, ...]:
        """Neighbours in one shot are one stretch: the halos between them are then not computed twice."""
        found: list[list[Segment]] = []
        for segment in segments:
            last = found[-1][-1] if found else None
            if last is not None and last.shot == segment.shot and last.core.stop == segment.core.start:
                found[-1].append(segment)
            else:
                found.append([segment])
        return tuple(Stretch(segments=tuple(group)) for group in found)

    def chunk(self, stretch: Stretch, position: int, rung: Rung, halo_frames: int) -> Segment:
        """Where the shot begins or ends there is no halo, and the core is longer by that.

        All chunks then have the same number of frames, and each finds the memory that the one before has left.
        """
        first = stretch.segments[0]
        room = rung.chunk_frames + halo_frames - min(halo_frames, position - first.shot_start)
        if first.shot_stop - position <= room + halo_frames:
            room += halo_frames
        core = Window(start=position, stop=min(position + room, stretch.core.stop))
        halo = add_halo(core, shot_start=first.shot_start, shot_stop=first.shot_stop, halo=halo_frames)
        return replace(first, core=core, halo=halo)

    def stream_cutting(self, cutting: Cutting, rung: Rung) -> Cutting:
        """Any cut gives the same pixels, so nothing is waited for that is not needed."""
        return replace(cutting, frames=rung.chunk_frames, longest_frames=rung.chunk_frames)

    # -- pieces of a chunk

    def pictures(
        self, height: int, width: int, rung: Rung, num_steps: int, margin_px: int = 0
    ) -> list[tuple[AxisSpan, AxisSpan]]:
        """Each tile is computed from beginning to end, so that only finished frames are held whole."""
        halo = self.halo_px(num_steps) + margin_px
        columns = tile_spans(width, rung.tile_px, halo)
        return [(row, column) for row in tile_spans(height, rung.tile_px, halo) for column in columns]

    def cut(self, rung: Rung) -> Cut:
        return Cut(tile_px=self.tile_px, window_frames=rung.window_frames or self.window_frames)

    def denoise_grid(self, canvas: Canvas, cut: Cut) -> Grid:
        halo = canvas.latents(self.reach_px) if self.reach_px else 0
        time = Axis.haloed(canvas.frames, cut.window_frames, self.reach_frames)
        return Grid(time, *_space(canvas, cut.tile_px, halo))

    def decode_grid(self, canvas: Canvas, cut: Cut, keep: range | None) -> Grid:
        keep = range(canvas.frames) if keep is None else keep
        time = Axis.haloed(canvas.frames, self.decode_frames or cut.window_frames, self.decode_reach_frames, keep)
        halo = canvas.latents(self.decode_reach_px) if self.decode_reach_px else 0
        return Grid(time, *_space(canvas, cut.decode_tile_px or cut.tile_px, halo))

    def encode_grid(self, canvas: Canvas, cut: Cut) -> Grid:
        """A tile is computed from beginning to end, so what it encodes is encoded at once."""
        return Grid(*(Axis.haloed(count, None, 0) for count in (canvas.frames, canvas.height, canvas.width)))

    def decoded_at_once(self) -> Local:
        return replace(self, decode_frames=None)

    def decoded(self, grid: Grid, factor: int) -> Grid:
        return Grid(grid.frames, grid.rows.scaled(factor), grid.columns.scaled(factor))

    def finished(self, frames: Tensor) -> Tensor:
        return frames

    def levels(self, lr: Tensor) -> Tensor:
        """Each frame is held to its own input: to steady levels over time, all frames would have to be known."""
        return lr

    # -- seams

    def seam_frames(self, segment: Segment, rung: Rung) -> set[int]:
        return set()

    def seams_px(self, side: int, rung: Rung) -> set[int]:
        return set() if rung.tile_px is None else {span.keep_start for span in tile_spans(side, rung.tile_px, 0)[1:]}

    # -- memory

    def sizes(self, demand: Demand) -> Sizes:
        load = load_of(demand, halo_frames=demand.around[0], halo_px=self.halo_px(demand.num_steps))

        def rung(longest: int) -> tuple[Rung, int]:
            tile = demand.tile_px or self.tile_px
            found = fit(load, demand.budget, most_frames=longest, tile_px=tile)
            peak = load.peak_bytes(found.chunk_frames, found.tile_px)
            return replace(found, window_frames=demand.window_frames), peak

        cutting = choose_cutting(fps=demand.fps, around=demand.around, segment_frames=demand.segment_frames)
        return Sizes(cutting=cutting, rung=rung)

    def ladder(self, rung: Rung, width: int, height: int) -> tuple[Rung, ...]:
        """Shorter chunks, then smaller tiles, then single frames."""
        rungs: list[Rung] = []
        current = rung
        while current.chunk_frames > 4:
            current = replace(current, chunk_frames=max(current.chunk_frames // 2, 4))
            rungs.append(current)
        for tile in halved(max(width, height) if current.tile_px is None else current.tile_px, LEAST_TILE_PX):
            current = replace(current, tile_px=tile)
            rungs.append(current)
        while current.chunk_frames > 1:
            current = replace(current, chunk_frames=current.chunk_frames // 2)
            rungs.append(current)
        return tuple(rungs)


def _space(canvas: Canvas, tile_px: int | None, halo: int) -> tuple[Axis, Axis]:
    tile = None if tile_px is None else canvas.latents(tile_px)
    return Axis.haloed(canvas.height, tile, halo), Axis.haloed(canvas.width, tile, halo)


def tile_spans(length: int, tile_px: int | None, halo_px: int) -> list[AxisSpan]:
    """Cut one axis of ``length`` LR pixels into tiles of about ``tile_px``, each with its halo inside the picture.

    They begin at multiples of `limpid.plan.segments.ALIGN_PX`, so that no cut divides a latent pixel.
    """
    tile = length if tile_px is None else round_up(tile_px, ALIGN_PX)
    halo = round_up(halo_px, ALIGN_PX)
    return [
        AxisSpan(
            start=max(start - halo, 0),
            stop=min(min(start + tile, length) + halo, length),
            keep_start=start,
            keep_stop=min(start + tile, length),
        )
        for start in range(0, length, tile)
    ]
