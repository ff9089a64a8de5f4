"""The plan: which segments a run consists of and in which chunks, windows and tiles they are computed.

Everything here is a pure function of plain values, so that a plan can be printed, journaled and resumed.
A *segment* is what becomes durable; a *chunk* is what is in memory at once. How the two relate is for the kind of
geometry that a method has, see `limpid.cuts`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from limpid.types import Offload, Segment, Window

SEGMENT_S = 2
"""Default length of a segment; the last ones of a shot are up to twice as long, so that none is shorter."""
LONG_SEGMENT_S = 10
"""In place of it where whole shots are wanted: those of up to twice this are one segment, if memory allows."""
LEAST_SEGMENT_FRAMES = 24
LEAST_TILE_PX, MOST_TILES = 64, 32
UNKNOWN_WORK_BYTES = 2048
"""Per LR pixel and frame of a network call, for methods that do not say."""
FINISHED_COPIES = 3
"""And of the finished one: the frame itself, colour correction, resizing."""
ALIGN_PX = 8
"""Tiles of local methods begin at multiples of this, so that they never divide a latent pixel."""


@dataclass(frozen=True, kw_only=True)
class Rung:
    """How large the pieces are that are in memory at once; the out-of-memory ladder consists of these."""

    chunk_frames: int
    tile_px: int | None = None
    window_frames: int | None = None
    decode_tile_px: int | None = None
    """None: the decoder of a blended method has the tiles of its denoiser."""
    batched_guidance: bool = False
    """Whether both calls of classifier-free guidance go through the network at once."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All pieces of one run. `to_dict` and `from_dict` go through JSON without loss."""

    segments: tuple[Segment, ...]
    frames: Window
    """The part of the timeline that is produced; all of it, but for previews."""
    local: bool
    """For the reader of a plan: whether frames come out the same for any cut."""
    halo_frames: int
    grid_frames: int
    rung: Rung
    threads: int
    peak_bytes: int
    """Expected peak memory of one chunk on the device that computes."""
    offload: Offload = "none"
    reasons: tuple[str, ...] = ()
    """Why pieces are smaller than they could be, in sentences."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; segments as ``[shot, its start, its stop, core start, stop, halo start, stop]``."""
        values = asdict(self)
        values["frames"] = [self.frames.start, self.frames.stop]
        values["segments"] = [
            [s.shot, s.shot_start, s.shot_stop, s.core.start, s.core.stop, s.halo.start, s.halo.stop]
            for s in self.segments
        ]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        segments = tuple(
            Segment(index=i, shot=s[0], shot_start=s[1], shot_stop=s[2], core=_window(s[3:5]), halo=_window(s[5:7]))
            for i, s in enumerate(values["segments"])
        )
        plain = {**values, "segments": segments, "frames": _window(values["frames"]), "rung": Rung(**values["rung"])}
        return cls(**{**plain, "reasons": tuple(values.get("reasons", ()))})


def _window(pair: Sequence[int]) -> Window:
    return Window(start=pair[0], stop=pair[1])


# ------------------------------------------------------------------------------------------------ segments


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """How shots are cut into segments."""

    frames: int
    """Length of a segment, a multiple of ``grid_frames``."""
    longest_frames: int
    """Length of the last segment of a shot, at most: more than ``frames`` where a short rest is merged into it."""
    halo_frames: int
    """Before the core of a segment."""
    grid_frames: int = 1
    tail_frames: int | None = None
    """After the core; None: as many as before it."""

    @property
    def after_frames(self) -> int:
        return self.halo_frames if self.tail_frames is None else self.tail_frames

    def __post_init__(self) -> None:
        if self.frames % self.grid_frames or not 0 < self.frames <= self.longest_frames:
            raise ValueError(f"{self} is not a way to cut a shot")


def choose_cutting(
    *,
    fps: Fraction,
    around: tuple[int, int],
    segment_frames: int | None,
    grid_frames: int = 1,
    joint_frames: int = 0,
    affordable_frames: int | None = None,
    least_s: int = SEGMENT_S,
) -> Cutting:
    """Segments of ``least_s`` or more, on a grid.

    Args:
        around: frames that a segment needs before and after its core.
        segment_frames: what the user asks for; then no segment is longer, but for rounding up to the grid
            and for the last one of a shot, which may be longer by two joints.
        grid_frames: segments start at multiples of this, counted from the first frame of the shot.
        joint_frames: frames that neighbours have in common and merge.
        affordable_frames: what fits into memory at once, for methods whose segments are computed in one chunk.
        least_s: seconds of a segment where neither the user nor memory says otherwise.
    """
    halo = {"halo_frames": around[0], "tail_frames": around[1], "grid_frames": grid_frames}
    if segment_frames is not None:
        length = round_up(segment_frames, grid_frames)
        # A rest that the segment before has mostly computed already, for the joint, is no segment of its own.
        longest = length + max(2 * joint_frames - 1, 0)
        return Cutting(frames=length, longest_frames=longest, **halo)
    length = round_up(max(math.ceil(least_s * fps), LEAST_SEGMENT_FRAMES), grid_frames)
    longest = 2 * length - 1
    if affordable_frames is not None and longest > affordable_frames:
        length = max(min(length, (affordable_frames + 1) // 2) // grid_frames, 1) * grid_frames
        longest = max(2 * length - 1, length)
    return Cutting(frames=length, longest_frames=longest, **halo)


def next_core(start: int, known: int, cutting: Cutting, *, ended: bool) -> Window | None:
    """The core of the segment that starts at ``start`` in a shot of which the frames before ``known`` are known.

    None when that depends on frames still to come; ``ended`` says that the shot ends at ``known``. Both planning of
    a whole file and streaming use this rule, so they cut in the same places.
    """
    rest = known - start
    if rest > cutting.longest_frames:
        return Window(start=start, stop=start + cutting.frames)
    return Window(start=start, stop=known) if ended and rest > 0 else None


def add_halo(
    core: Window, *, shot_start: int, shot_stop: int, halo: int, tail: int | None = None, grid: int = 1
) -> Window:
    """``core`` with frames around it inside the shot, its ends on the grid where the shot allows it.

    ``halo`` frames before, ``tail`` after (None: as many).
    """
    start = shot_start + max(core.start - halo - shot_start, 0) // grid * grid
    stop = shot_start + round_up(core.stop + (halo if tail is None else tail) - shot_start, grid)
    return Window(start=start, stop=min(stop, shot_stop))


def plan_segments(shots: Sequence[tuple[int, int]], frames: Window, cutting: Cutting) -> tuple[Segment, ...]:
    """Segments that cover ``frames`` exactly, none across the end of a shot.

    Cores of a preview start where it starts; halos may lie outside of it, so that a preview of a local method shows
    the pixels of the whole run.
    """
    segments: list[Segment] = []
    for shot, (shot_start, shot_stop) in enumerate(shots):
        position, stop = max(shot_start, frames.start), min(shot_stop, frames.stop)
        while position < stop:
            core = next_core(position, stop, cutting, ended=True)
            assert core is not None
            segments.append(make_segment(len(segments), shot, (shot_start, shot_stop), core, cutting))
            position = core.stop
    return tuple(segments)


def make_segment(index: int, shot: int, bounds: tuple[int, int], core: Window, cutting: Cutting) -> Segment:
    start, stop = bounds
    around = {"halo": cutting.halo_frames, "tail": cutting.after_frames, "grid": cutting.grid_frames}
    halo = add_halo(core, shot_start=start, shot_stop=stop, **around)
    return Segment(index=index, shot=shot, shot_start=start, shot_stop=stop, core=core, halo=halo)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Segments that follow each other in one shot and are computed as one stretch of frames, chunk by chunk."""

    segments: tuple[Segment, ...]

    @property
    def core(self) -> Window:
        return Window(start=self.segments[0].core.start, stop=self.segments[-1].core.stop)


def round_up(value: int, grid: int) -> int:
    """The next multiple of ``grid`` that is not below ``value``."""
    return -(-value // grid) * grid


def tile_choices(edge: int) -> list[int]:
    """Tile sizes that cut an edge into equal parts, from large to small."""
    sizes = {round_up(-(-edge // count), ALIGN_PX) for count in range(2, MOST_TILES + 1)}
    return sorted((size for size in sizes if LEAST_TILE_PX <= size < edge), reverse=True)


def halved(edge: int, least: int) -> list[int]:
    """Tile sizes from half of ``edge`` down to ``least``."""
    sizes = []
    while edge // 2 >= least:
        edge //= 2
        sizes.append(round_up(edge, ALIGN_PX))
    return sizes
