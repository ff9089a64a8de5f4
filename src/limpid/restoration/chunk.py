"""The one thing that is passed from reading to the loop: frames, which of them are wanted, and what goes along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from limpid.flow.aligned import ClipFlows, Neighbours
from limpid.method import View
from limpid.plan.segments import Rung
from limpid.restoration.shares import OnShare, unheard
from limpid.types import Segment, VideoFrame
from limpid.video import alpha_of, to_tensor

Carry = Mapping[str, Tensor]
"""What one segment of a shot hands to the next."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What is in memory at once."""

    frames: Sequence[VideoFrame] | Tensor
    """All frames of ``segment.halo``: decoded pictures, or ``t 3 h w`` float32 in [0, 1]."""
    segment: Segment
    """Its core is what is made; see `limpid.cuts.base.Cuts.chunk`."""
    rung: Rung = field(default_factory=partial(Rung, chunk_frames=1))
    """How finely it is cut."""
    carry_in: Carry = field(default_factory=dict)
    """What the segment before left behind."""
    carry_out: dict[str, Tensor] = field(default_factory=dict)
    """What this one leaves behind is put in here."""
    on_share: OnShare = unheard
    """Told how much of the chunk is done: 0 when weights are loaded, then more after every tile or frame."""
    view: View | None = None
    """Which part of a larger picture the frames are, in LR pixels; their edges are then wrong by what a method sees."""
    neighbours: Neighbours | None = None
    """What a method is told of the neighbours of each frame, if anything; see `limpid.cuts.base.Cuts.neighbours`."""

    @property
    def core(self) -> range:
        """Where the frames that are made lie among ``frames``."""
        start = self.segment.core.start - self.segment.halo.start
        return range(start, start + len(self.segment.core))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        shape = self.frames.shape[-2:] if isinstance(self.frames, Tensor) else self.frames[0].pixels.shape[:2]
        return int(shape[0]), int(shape[1])

    def part(self, rows: slice, columns: slice) -> Chunk:
        """This chunk with a part of each frame; nothing is copied."""
        neighbours = None if self.neighbours is None else self.neighbours.part(rows, columns)
        if isinstance(self.frames, Tensor):
            return replace(self, frames=self.frames[..., rows, columns], neighbours=neighbours)
        frames = [frame._replace(pixels=frame.pixels[rows, columns]) for frame in self.frames]
        return replace(self, frames=frames, neighbours=neighbours)

    def with_neighbours(self, distances: tuple[int, ...], *, kept: bool) -> Chunk:
        """This chunk, of whole frames, with what a method is told of their neighbours; ``kept``: see `ClipFlows`.

        Itself where it knows already.
        """
        if not distances or self.neighbours is not None:
            return self
        flows = ClipFlows(self.frame, len(self.frames), distances, kept=kept)
        return replace(self, neighbours=Neighbours(flows=flows))

    def lr(self) -> Tensor:
        """The frames as ``t 3 h w`` float32 in [0, 1]."""
        return self.frames if isinstance(self.frames, Tensor) else to_tensor(self.frames)

    def frame(self, number: int) -> Tensor:
        """One frame as ``3 h w`` float32 in [0, 1], counted from the first."""
        return self.frames[number] if isinstance(self.frames, Tensor) else to_tensor([self.frames[number]])[0]

    def told(self, number: int, frame: Tensor) -> Tensor:
        """What a method is told of one frame, ``c h w``: ``frame`` itself, and what it is told of its neighbours."""
        return frame if self.neighbours is None else torch.cat([frame, self.neighbours(number).to(frame)])

    def alpha(self) -> Tensor | None:
        """Transparency of the frames that are made, ``t 1 h w``; None where pictures have none."""
        if isinstance(self.frames, Tensor):
            return None
        return alpha_of(self.frames[self.core.start : self.core.stop])


Compute = Callable[[Chunk], Tensor]
"""A chunk -> the finished frames of its core on the CPU: ``t 3|4 H W`` float32 in [0, 1] for streams; for files
``t H W 3|4`` in the encoder's format, see `limpid.restoration.finished`."""
