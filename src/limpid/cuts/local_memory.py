"""Memory arithmetic of local methods: the largest chunk and tile with the least wasted work that fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from limpid.cuts.cost import Demand
from limpid.plan.segments import ALIGN_PX, FINISHED_COPIES, UNKNOWN_WORK_BYTES, Rung, round_up, tile_choices

CHUNK_CHOICES = (24, 20, 16, 12, 8, 6, 4, 3, 2, 1)
FRAME_COPIES = 5
"""Float copies of an output frame alive at once while it is computed: latents, decoded frames; measured (tiny)."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one frame costs in memory; the planner's model of a local method on a picture size."""

    width: int
    height: int
    halo_px: int
    """Around a tile, on either side, in one network call."""
    halo_frames: int
    """Around a chunk, on either side."""
    network_bytes_per_px: int
    """A network call, per LR pixel of a tile with its halo, and frame."""
    canvas_bytes_per_px: int
    """Latents and unfinished frames, per LR pixel of the whole picture, and frame, those of the halo too."""
    finished_bytes_per_px: int
    """Finished frames, per LR pixel of the whole picture, and frame that is kept."""

    def peak_bytes(self, core_frames: int, tile_px: int | None) -> int:
        """Peak memory of a chunk with ``core_frames`` to keep and its halo."""
        width, height = self.width, self.height
        if tile_px is not None:
            width, height = (min(edge, tile_px + 2 * self.halo_px) for edge in (width, height))
        frames = core_frames + 2 * self.halo_frames
        network = frames * width * height * self.network_bytes_per_px
        whole = frames * self.canvas_bytes_per_px + core_frames * self.finished_bytes_per_px
        return whole * self.width * self.height + network

    def waste(self, chunk_frames: int, tile_px: int | None) -> float:
        """Work over the least possible work, because halos are computed and thrown away."""
        time = (chunk_frames + 2 * self.halo_frames) / chunk_frames
        if tile_px is None:
            return time
        return time * math.prod(_tiled_work(edge, tile_px, self.halo_px) for edge in (self.width, self.height))


def _tiled_work(edge: int, tile: int, halo: int) -> float:
    return sum(min(start + tile + halo, edge) - max(start - halo, 0) for start in range(0, edge, tile)) / edge


def load_of(demand: Demand, *, halo_frames: int, halo_px: int) -> Load:
    """The load of a local method by its own figures."""
    frame = 12 * demand.scale**2
    return Load(
        width=demand.width,
        height=demand.height,
        halo_px=round_up(halo_px, ALIGN_PX),
        halo_frames=halo_frames,
        network_bytes_per_px=(demand.cost.work_bytes_per_px or UNKNOWN_WORK_BYTES) + frame * FRAME_COPIES,
        canvas_bytes_per_px=12,
        finished_bytes_per_px=frame * FINISHED_COPIES,
    )


def fit(load: Load, budget_bytes: int, *, most_frames: int, tile_px: int | None = None) -> Rung:
    """Chunk and tile of a local method: the least wasted work among what fits, or the smallest there is.

    Args:
        most_frames: frames of a shot; longer chunks do not occur.
        tile_px: what the user asks for, instead of a choice.
    """
    edge = max(load.width, load.height)
    tiles = [tile_px] if tile_px else [None, *tile_choices(edge)]
    lengths = [c for c in (most_frames, *CHUNK_CHOICES) if c <= min(most_frames, CHUNK_CHOICES[0])]
    pairs = [(chunk, tile) for chunk in lengths for tile in tiles]

    def peak(pair: tuple[int, int | None]) -> int:
        return load.peak_bytes(*pair)

    affordable = [pair for pair in pairs if peak(pair) <= budget_bytes]
    chunk, tile = min(affordable, key=lambda pair: load.waste(*pair)) if affordable else min(pairs, key=peak)
    return Rung(chunk_frames=chunk, tile_px=tile)
