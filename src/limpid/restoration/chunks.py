"""One loop over the chunks of a stretch, for files and for streams alike, with the ladder for memory that runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from limpid.cuts.base import Cuts
from limpid.plan.device import empty_cache, is_out_of_memory
from limpid.plan.segments import Rung, Stretch
from limpid.restoration.chunk import Carry, Chunk, Compute
from limpid.types import ResourceError, Segment, VideoFrame, Window

Take = Callable[[Window], Sequence[VideoFrame] | Tensor]
"""The frames of a window, absolute numbers."""


@dataclass(kw_only=True)
class Ladder:
    """How finely chunks are cut from which frame on, and what there is to step down to."""

    first: Rung
    lower: Sequence[Rung] = ()
    """All there are, from large to small; see `limpid.cuts.base.Cuts.ladder`."""
    device: torch.device = field(default_factory=partial(torch.device, "cpu"))
    taken: list[tuple[int, Rung]] = field(default_factory=list)
    """Steps down so far: from which frame on, and what since."""
    on_lower: Callable[[int, Rung], None] = lambda frame, rung: None
    """Told before a lower rung is tried."""

    def at(self, frame: int) -> Rung:
        """What chunks that begin at this frame are cut by: the nearest step down at or before it, the later of two."""
        nearest = max((start for start, _ in self.taken if start <= frame), default=None)
        return next((rung for start, rung in reversed(self.taken) if start == nearest), self.first)

    def step_down(self, frame: int, message: str) -> None:
        """Memory ran out at this frame. Raises ResourceError when there is nothing smaller to try."""
        rung, rungs = self.at(frame), list(self.lower)
        left = rungs[rungs.index(rung) + 1 :] if rung in rungs else rungs
        if not left:
            size = f"tiles of {rung.tile_px} px" if rung.tile_px else "the whole frame as one tile"
            raise ResourceError(
                f"out of memory with {rung.chunk_frames} frames at once and {size}, and there is nothing smaller to "
                f"try: close other programs, use a smaller --segment-frames or another device ({message})"
            )
        empty_cache(self.device)
        self.on_lower(frame, left[0])
        self.taken.append((frame, left[0]))


@dataclass(frozen=True, kw_only=True)
class ChunkLoop:
    """Computes stretches chunk by chunk. Chunks lie where they do whatever is finished already: see `run`."""

    cuts: Cuts
    compute: Compute
    take: Take
    ladder: Ladder
    halo_frames: int
    """On either side of a chunk."""
    on_share: Callable[[Segment, float], None] = lambda segment, share: None
    """Told how much of a chunk is done; from 0 again when it is tried again."""
    guard: Callable[[], AbstractContextManager[None]] = nullcontext
    """Entered around each computation."""

    def run(
        self, stretch: Stretch, wanted: Callable[[Window], bool], carry_in: Carry, carry_out: dict[str, Tensor]
    ) -> Iterator[tuple[Segment, Tensor]]:
        """Chunks with their frames, in order; those of which nothing is ``wanted`` are left out.

        Where a chunk begins depends on the stretch and on the ladder only: number formats with few bits round
        differently for other chunks, and a run that goes on must give the same bytes.
        """
        position = stretch.core.start
        while position < stretch.core.stop:
            rung = self.ladder.at(position)
            segment = self.cuts.chunk(stretch, position, rung, self.halo_frames)
            if wanted(segment.core):
                frames = self._try(segment, rung, carry_in, carry_out)
                if frames is None:
                    continue
                if len(frames) != len(segment.core):
                    raise RuntimeError(f"{len(frames)} frames were computed for {segment.core}")
                yield segment, frames
                del frames  # let go of the chunk before the next one is computed
            position = segment.core.stop

    def _try(self, segment: Segment, rung: Rung, carry_in: Carry, carry_out: dict[str, Tensor]) -> Tensor | None:
        """One chunk; None after memory ran out and the next lower rung is set."""
        frames = self.take(segment.halo)
        on_share = partial(self.on_share, segment)
        chunk = Chunk(frames=frames, segment=segment, rung=rung, carry_in=carry_in, on_share=on_share)
        try:
            with self.guard():
                result = self.compute(chunk)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            message = str(error).split("\n", 1)[0]
        else:
            carry_out.update(chunk.carry_out)
            return result
        # Outside of the handler, where the traceback no longer keeps the tensors of the failed try alive.
        del chunk, frames
        self.ladder.step_down(segment.core.start, message)
        return None
