"""Memory arithmetic of local methods: the largest chunk and tile with the least wasted work that fit.

A run holds the input frames of a chunk with its halo, what is read ahead, the finished frames in the format that they
are written in, those that wait to be encoded, decoder and encoder, and the work of one tile at a time, which is float32
and by far the most per pixel. Only the last depends on the tile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from limpid.cuts.cost import Demand, Held
from limpid.plan.memory import GIB, Budget
from limpid.plan.segments import ALIGN_PX, UNKNOWN_WORK_BYTES, Rung, round_up, tile_choices
from limpid.types import ResourceError

CHUNK_CHOICES = (96, 72, 48, 36, 24, 20, 16, 12, 8, 6, 4, 3, 2, 1)
MOST_IMMODEST_FRAMES = 24
"""Longer chunks waste less on their halos, but hold more frames: they are for where these are small."""
FRAME_COPIES = 6
"""Float copies of an output frame alive at once while it is computed: latents, decoded frames; measured (tiny), with
what a heap that keeps freed memory loses between them."""
FINISH_COPIES = 3
"""And of one frame that gets its colours and its size."""
RESIZE_COPIES = 4
"""More of them where frames are resized as they come, one more with each frame after the second: pieces of many sizes
that fit badly into a heap. Measured (tiny), 320x180 and 640x360."""
MODEST_BYTES, MODEST_TILE_BYTES = 3 << 30, 1536 << 20
"""On a CPU more is not taken: in all, or for one tile where what is held is more by itself."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one frame costs in memory; the planner's model of a local method on a picture size."""

    width: int
    height: int
    halo_px: int
    """Around a tile, on either side."""
    halo_frames: int
    """Around a chunk, on either side."""
    network_bytes_per_px: int
    """Peak memory of the work on a tile, per LR pixel and per frame, both counted with the halo."""
    finish_bytes_per_px: int = 0
    """Memory of finishing one frame of a tile, per LR pixel with its halo."""
    direct_bytes_per_px: int = 0
    """Peak memory of the network where frames go through one by one, whatever their number; 0: they do not."""
    held: Held

    def tile_bytes(self, core_frames: int, tile_px: int | None) -> int:
        """Peak memory of the work on one tile of a chunk."""
        width, height = self.width, self.height
        if tile_px is not None:
            width, height = (min(edge, round_up(tile_px, ALIGN_PX) + 2 * self.halo_px) for edge in (width, height))
        if self.direct_bytes_per_px:
            more = min(max(self._frames(core_frames) - 2, 0), RESIZE_COPIES) if self.held.resized else 0
            finish = self.finish_bytes_per_px * (FINISH_COPIES + more) // FINISH_COPIES
            return width * height * (self.direct_bytes_per_px + finish)
        per_px = self._frames(core_frames) * self.network_bytes_per_px + self.finish_bytes_per_px
        return width * height * per_px + (0 if tile_px is None else self.held.canvas_bytes)

    def held_bytes(self, core_frames: int) -> int:
        """What is in memory besides a tile while it is computed: frames that come, frames that go, both codecs.

        The encoder has been given no more than the frames of the chunks before by then.
        """
        given = max(self.held.encoded_frames - core_frames, 0)
        made = self._in_shot(core_frames + self.halo_frames)
        return self._held(core_frames, made, given) + self.held.encoder.after(given)

    def end_bytes(self, core_frames: int) -> int:
        """What is in memory when the last frames are encoded and no tile is computed any more."""
        given = self.held.encoded_frames
        return self._held(core_frames, self._in_shot(core_frames), given) + self.held.encoder.at_end(given)

    def host_bytes(self, core_frames: int) -> int:
        """What is in memory at most besides tiles."""
        return max(self.held_bytes(core_frames), self.end_bytes(core_frames))

    def peak_bytes(self, core_frames: int, tile_px: int | None) -> int:
        """Peak memory of a chunk with ``core_frames`` to keep and its halo."""
        computing = self.held_bytes(core_frames) + self.tile_bytes(core_frames, tile_px)
        return max(computing, self.end_bytes(core_frames))

    def _held(self, core_frames: int, made: int, given: int) -> int:
        """Frames and decoder. ``made``: finished frames of a chunk; copies of those ``given`` wait to be encoded."""
        held = self.held
        lr_frames = self._in_shot(self._frames(core_frames) + held.waiting_lr_frames)
        finished = made + min(held.waiting_finished_frames, given)
        return lr_frames * held.lr_frame_bytes + finished * held.finished_frame_bytes + held.codec_bytes

    def waste(self, chunk_frames: int, tile_px: int | None) -> float:
        """Work over the least possible work, because halos are computed and thrown away."""
        time = (chunk_frames + 2 * self.halo_frames) / chunk_frames
        if tile_px is None:
            return time
        return time * math.prod(_tiled_work(edge, tile_px, self.halo_px) for edge in (self.width, self.height))

    def _frames(self, core_frames: int) -> int:
        return self._in_shot(core_frames + 2 * self.halo_frames)

    def _in_shot(self, frames: int) -> int:
        return frames if self.held.shot_frames is None else min(frames, self.held.shot_frames)


def _tiled_work(edge: int, tile: int, halo: int) -> float:
    return sum(min(start + tile + halo, edge) - max(start - halo, 0) for start in range(0, edge, tile)) / edge


def load_of(demand: Demand, *, halo_frames: int, halo_px: int) -> Load:
    """The load of a local method by its own figures."""
    pixels, frame = demand.width * demand.height, 12 * demand.scale**2
    held = demand.held or Held(lr_frame_bytes=12 * pixels, finished_frame_bytes=frame * pixels)
    held = replace(
        held,
        lr_frame_bytes=held.lr_frame_bytes + demand.cost.flow_bytes_per_px * pixels,
        codec_bytes=held.codec_bytes + demand.cost.moving_bytes_per_px * pixels,
    )
    return Load(
        width=demand.width,
        height=demand.height,
        halo_px=round_up(halo_px + held.margin_px, ALIGN_PX),
        halo_frames=halo_frames,
        network_bytes_per_px=(demand.cost.work_bytes_per_px or UNKNOWN_WORK_BYTES) + frame * FRAME_COPIES,
        finish_bytes_per_px=frame * FINISH_COPIES,
        direct_bytes_per_px=demand.cost.direct_bytes_per_px * demand.bytes_per_value // 4 if demand.direct else 0,
        held=held,
    )


def fit(load: Load, budget: Budget, *, most_frames: int, tile_px: int | None = None) -> Rung:
    """Chunk and tile of a local method: the least wasted work among what fits.

    Args:
        most_frames: frames of a shot; longer chunks do not occur.
        tile_px: what the user asks for, instead of a choice.

    Raises:
        ResourceError: when not even the smallest pieces fit.
    """
    edge = max(load.width, load.height)
    tiles = [tile_px] if tile_px else [None, *tile_choices(edge)]
    lengths = [c for c in (most_frames, *CHUNK_CHOICES) if c <= min(most_frames, CHUNK_CHOICES[0])]
    pairs = [(chunk, tile) for chunk in lengths for tile in tiles]
    affordable = [pair for pair in pairs if _fits(load, budget, *pair)]
    if not affordable:
        chunk, tile = min(pairs, key=lambda pair: load.peak_bytes(*pair))
        most = replace(budget, device=budget.free or budget.device)
        if not _fits(load, most, chunk, tile):
            raise ResourceError(_what_fits(load, most, tile_px))
        return Rung(chunk_frames=chunk, tile_px=tile)
    modest = [pair for pair in affordable if budget.host is not None or _is_modest(load, *pair)]
    chunk, tile = min(modest or affordable, key=lambda pair: load.waste(*pair))
    return Rung(chunk_frames=chunk, tile_px=tile)


def _is_modest(load: Load, chunk: int, tile: int | None) -> bool:
    few = chunk <= MOST_IMMODEST_FRAMES and load.tile_bytes(chunk, tile) <= MODEST_TILE_BYTES
    return few or load.peak_bytes(chunk, tile) <= MODEST_BYTES


def _fits(load: Load, budget: Budget, chunk: int, tile: int | None) -> bool:
    """Tiles lie on the device that computes, all else on the host; on a CPU both are the same."""
    if budget.host is None:
        return load.peak_bytes(chunk, tile) <= budget.device
    return load.tile_bytes(chunk, tile) <= budget.device and load.host_bytes(chunk) <= budget.host


def _what_fits(load: Load, budget: Budget, tile_px: int | None) -> str:
    """Why nothing fits, and what would: smaller tiles than those asked for, or smaller pictures."""
    tile = min((None, *tile_choices(max(load.width, load.height))), key=lambda tile: load.tile_bytes(1, tile))
    device = budget.device
    may = f"{(device + (budget.host or 0)) / GIB:.1f} GiB may be used"
    size, part = f"{load.width}x{load.height}", load.tile_bytes(1, tile)
    if tile_px and _fits(load, budget, 1, tile):
        need = load.peak_bytes(1, tile_px) / GIB
        return f"{size} with tiles of {tile_px} px needs {need:.1f} GiB, and {may}: use a smaller --tile-px, or none"
    needs = load.peak_bytes(1, tile) if budget.host is None else load.host_bytes(1) + part
    says = f"{size} needs {needs / GIB:.1f} GiB in the smallest pieces, and {may}: close other programs"
    share = _share_that_fits(load, budget, part)
    if share <= 0:
        return says
    return f"{says}, or use pictures of at most {int(load.width * share)}x{int(load.height * share)}"


def _share_that_fits(load: Load, budget: Budget, part: int) -> float:
    """By how much the sides of pictures must shrink, so that what is held besides a tile of ``part`` bytes fits."""
    if part > budget.device:
        return 0.0
    if budget.host is not None:
        return math.sqrt(budget.host / load.host_bytes(1))
    return math.sqrt(min((budget.device - part) / load.held_bytes(1), budget.device / load.end_bytes(1)))
