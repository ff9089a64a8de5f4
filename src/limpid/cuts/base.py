"""What the two kinds of geometry have in common: plain values that go in and come out, and what both must answer.

`limpid.cuts.local.Local` cuts with a halo that is cropped, so that frames come out with the same bits for any cut.
`limpid.cuts.blended.Blended` blends overlapping pieces, which then belong to the result. Everything that differs
between the two is a member of `Cuts`; nobody else asks which kind a method has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from limpid.cuts.cost import Demand
from limpid.plan.segments import Cutting, Rung, Stretch
from limpid.tiling.blend import Grid
from limpid.tiling.plan import AxisSpan
from limpid.types import Offload, Segment


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How finely a segment is cut. Lengths are those of the method unless a user or the memory plan asks for others."""

    tile_px: int | None
    window_frames: int | None
    decode_tile_px: int | None = None
    """None: the decoder has the denoiser's tiles."""


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Latents that are cut: their size, and where they lie in the shot."""

    frames: int
    height: int
    """In latent pixels."""
    width: int
    first: int
    """How many frames of the shot come before the first one here; windows lie on a grid counted from there."""
    latents: Callable[[int], int]
    """LR pixels along an edge -> latent pixels."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How a method is cut on one picture size, and why."""

    cutting: Cutting
    rung: Callable[[int], tuple[Rung, int]]
    """From the longest stretch of frames there is: what is in memory at once at first, and its expected peak."""
    offload: Offload = "none"
    reasons: tuple[str, ...] = ()


class Cuts(Protocol):
    """A kind of geometry with its lengths: grids, halos, the ladder of smaller sizes, memory arithmetic."""

    @property
    def window_frames(self) -> int | None:
        """Frames that one call of the network sees; None: all of a segment."""
        ...

    @property
    def tile_px(self) -> int | None:
        """LR pixels along the edge of a tile; None: the frame is one tile, unless memory is short."""
        ...

    @property
    def joint_frames(self) -> int:
        """Frames of a segment's beginning that are merged with what the segment before made of them."""
        ...

    @property
    def neighbours(self) -> tuple[int, ...]:
        """Frames that the prior is told of beside each frame, by their distance: by how much they differ from it once
        they are moved onto it along optical flow (`limpid.flow.aligned`), as channels behind the colours."""
        ...

    @property
    def exact(self) -> bool:
        """Whether frames come out the same for any cut; for people who read a plan."""
        ...

    @property
    def most_memory_bytes(self) -> int | None:
        """More memory than this makes a run on a CPU hardly faster; None: the more, the better."""
        ...

    @property
    def reuses_freed_memory(self) -> bool:
        """Whether the process keeps freed memory; see `limpid.plan.allocator.keep_freed_memory`."""
        ...

    @property
    def lower_note(self) -> str:
        """What is added to the sentence that memory ran out: whether the result differs."""
        ...

    # -- segments and chunks

    def around(self, num_steps: int, strategy_frames: tuple[int, int]) -> tuple[int, int]:
        """Frames that a segment needs before and after its core (fewer where the shot begins or ends).

        ``strategy_frames``: what the strategy wants to see, see `limpid.method.Strategy.halo_frames`.
        """
        ...

    def check_halo(self, segment: Segment, num_steps: int) -> None:
        """Raises ValueError when the halo of a segment is too short for exact results."""
        ...

    def stretches(self, segments: Sequence[Segment]) -> tuple[Stretch, ...]:
        """Segments joined into stretches that are computed chunk by chunk, in order."""
        ...

    def chunk(self, stretch: Stretch, position: int, rung: Rung, halo_frames: int) -> Segment:
        """The chunk of a stretch whose core starts at ``position``, as a segment of its own."""
        ...

    def stream_cutting(self, cutting: Cutting, rung: Rung) -> Cutting:
        """How a stream is cut whose frames come one by one: not later than necessary."""
        ...

    # -- pieces of a chunk

    def pictures(
        self, height: int, width: int, rung: Rung, num_steps: int, margin_px: int = 0
    ) -> list[tuple[AxisSpan, AxisSpan]]:
        """Rows and columns, in LR pixels, that are computed from noise to frame by themselves: read, and kept.

        ``margin_px``: what finishing looks at around a kept pixel, besides what the network does.
        Empty where a picture is not divided so.
        """
        ...

    def cut(self, rung: Rung) -> Cut:
        """How one such picture is cut inside the loop."""
        ...

    def denoise_grid(self, canvas: Canvas, cut: Cut) -> Grid:
        """The pieces of one denoiser call over a canvas."""
        ...

    def decode_grid(self, canvas: Canvas, cut: Cut, keep: range | None) -> Grid:
        """The pieces of the decoder for the frames ``keep``, counted from the first of the canvas; None: all."""
        ...

    def encode_grid(self, canvas: Canvas, cut: Cut) -> Grid:
        """The pieces of the encoder: the decoder's, because they work at the same sizes."""
        ...

    def decoded_at_once(self) -> Cuts:
        """This geometry with one decoder call for all frames of a segment."""
        ...

    def decoded(self, grid: Grid, factor: int) -> Grid:
        """The decoder's grid in output pixels, ``factor`` per latent pixel."""
        ...

    def finished(self, frames: Tensor) -> Tensor:
        """Frames of one decoder call where finished frames are put together."""
        ...

    def levels(self, lr: Tensor) -> Tensor:
        """The colours that finished frames are held to, from the LR frames ``t 3 h w`` of a segment with its halo."""
        ...

    # -- seams, for those who measure them

    def seam_frames(self, segment: Segment, rung: Rung) -> set[int]:
        """Frames of a segment's core at which a window begins, or the one before has ended."""
        ...

    def seams_px(self, side: int, rung: Rung) -> set[int]:
        """First LR columns (or rows) behind each seam of tiles on a side of that length.

        Where tiles overlap, that is where the overlap begins and where it ends. Tiles of the decoder count too.
        """
        ...

    # -- memory

    def sizes(self, demand: Demand) -> Sizes:
        """How the method is cut for the memory there is."""
        ...

    def ladder(self, rung: Rung, width: int, height: int) -> tuple[Rung, ...]:
        """What to try next, in order, when memory runs out. ``width`` and ``height`` of the input."""
        ...
