"""The plan: which segments a run consists of and in which chunks, windows and tiles they are computed.

Everything here is a pure function of plain values, so that a plan can be printed, journaled and resumed.
A *segment* is what becomes durable; a *chunk* is what is in memory at once. For local methods (see
`limpid.method.Method`) a segment is computed chunk by chunk, which changes no bit of the result; for all others the
segment belongs to the result and is computed as one chunk.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import zip_longest
from typing import Any

from limpid.method import Method
from limpid.types import Offload, Segment, Window

SEGMENT_S = 2
"""Default length of a segment; the last ones of a shot are up to twice as long, so that none is shorter."""
LEAST_SEGMENT_FRAMES = 24
CHUNK_CHOICES = (24, 20, 16, 12, 8, 6, 4, 3, 2, 1)
LEAST_TILE_PX, MOST_TILES = 64, 32
UNKNOWN_WORK_BYTES = 2048
"""Per LR pixel and frame of a network call, for methods that do not say."""
FRAME_COPIES = 5
"""Float copies of an output frame alive at once while it is computed: latents, decoded frames; measured (tiny)."""
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
    """Of the last segment of a shot: more than ``frames`` where a short rest is merged into it."""
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
    *, fps: Fraction, method: Method, num_steps: int, segment_frames: int | None, affordable_frames: int | None = None
) -> Cutting:
    """Segments of 2 s or more, on the method's grid.

    Args:
        segment_frames: what the user asks for; then no segment is longer, but for rounding up to the grid
            and for the last one of a shot, which may be longer by two joints.
        affordable_frames: what fits into memory at once, for methods whose segments are computed in one chunk.
    """
    grid = method.segment_grid_frames
    halo = {"halo_frames": method.halo_frames(num_steps), "tail_frames": method.tail_frames(num_steps)}
    if segment_frames is not None:
        length = _round_up(segment_frames, grid)
        # A rest that the segment before has mostly computed already, for the joint, is no segment of its own.
        longest = length + max(2 * method.joint_frames - 1, 0)
        return Cutting(frames=length, longest_frames=longest, grid_frames=grid, **halo)
    length = _round_up(max(math.ceil(SEGMENT_S * fps), LEAST_SEGMENT_FRAMES), grid)
    longest = 2 * length - 1
    if affordable_frames is not None and longest > affordable_frames:
        length = max(min(length, (affordable_frames + 1) // 2) // grid, 1) * grid
        longest = max(2 * length - 1, length)
    return Cutting(frames=length, longest_frames=longest, grid_frames=grid, **halo)


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
    stop = shot_start + _round_up(core.stop + (halo if tail is None else tail) - shot_start, grid)
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
class Span:
    """Segments that follow each other in one shot and are computed as one stretch of frames, chunk by chunk."""

    segments: tuple[Segment, ...]

    @property
    def core(self) -> Window:
        return Window(start=self.segments[0].core.start, stop=self.segments[-1].core.stop)

    def chunk(self, position: int, *, chunk_frames: int, halo_frames: int, local: bool) -> Segment:
        """The chunk whose core starts at ``position``; of methods that are not local, the segment itself.

        Where the shot begins or ends there is no halo, and the core is longer by that: all chunks then have the same
        number of frames, and each finds the memory that the one before has left.
        """
        first = self.segments[0]
        if not local:
            return first
        room = chunk_frames + halo_frames - min(halo_frames, position - first.shot_start)
        if first.shot_stop - position <= room + halo_frames:
            room += halo_frames
        core = Window(start=position, stop=min(position + room, self.core.stop))
        halo = add_halo(core, shot_start=first.shot_start, shot_stop=first.shot_stop, halo=halo_frames)
        return replace(first, core=core, halo=halo)


def spans(segments: Iterable[Segment], *, local: bool) -> list[Span]:
    """Join segments where that changes nothing: the halos between them are then not computed twice."""
    found: list[list[Segment]] = []
    for segment in segments:
        last = found[-1][-1] if found else None
        if local and last is not None and last.shot == segment.shot and last.core.stop == segment.core.start:
            found[-1].append(segment)
        else:
            found.append([segment])
    return [Span(segments=tuple(group)) for group in found]


def chunks(span: Span, plan: Plan) -> Iterator[Segment]:
    """All chunks of a span when memory never runs out."""
    position = span.core.start
    while position < span.core.stop:
        chunk = span.chunk(
            position, chunk_frames=plan.rung.chunk_frames, halo_frames=plan.halo_frames, local=plan.local
        )
        yield chunk
        position = chunk.core.stop


def _round_up(value: int, grid: int) -> int:
    return -(-value // grid) * grid


# -------------------------------------------------------------------------------------------------- memory


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
    """Of a network call, per LR pixel of a tile with its halo, and frame."""
    canvas_bytes_per_px: int
    """Of latents and unfinished frames, per LR pixel of the whole picture, and frame, those of the halo too."""
    finished_bytes_per_px: int
    """Of finished frames, per LR pixel of the whole picture, and frame that is kept."""

    def peak_bytes(self, core_frames: int, tile_px: int | None) -> int:
        """Of a chunk with ``core_frames`` to keep and its halo."""
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


def method_load(method: Method, *, num_steps: int, width: int, height: int, bytes_per_value: int = 4) -> Load:
    """The load of a local method by its own figures."""
    network = (method.work_bytes_per_px or UNKNOWN_WORK_BYTES) * bytes_per_value // 4
    frame = 12 * method.scale**2
    return Load(
        width=width,
        height=height,
        halo_px=_round_up(method.halo_px(num_steps), ALIGN_PX),
        halo_frames=method.halo_frames(num_steps),
        network_bytes_per_px=network + frame * FRAME_COPIES,
        canvas_bytes_per_px=12,
        finished_bytes_per_px=frame * FINISHED_COPIES,
    )


def fit(load: Load, budget_bytes: int, *, most_frames: int, tile_px: int | None = None) -> Rung:
    """Chunk and tile of a local method: the least wasted work among what fits, or the smallest there is.

    Args:
        most_frames: of a shot; longer chunks do not occur.
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


def tile_choices(edge: int) -> list[int]:
    """Tile sizes that cut the longer edge into equal parts, from large to small."""
    sizes = {_round_up(-(-edge // count), ALIGN_PX) for count in range(2, MOST_TILES + 1)}
    return sorted((size for size in sizes if LEAST_TILE_PX <= size < edge), reverse=True)


def ladder(rung: Rung, *, width: int, height: int, local: bool, overlap_px: int = 0) -> tuple[Rung, ...]:
    """What to try next, in order, when memory runs out.

    Local methods: shorter chunks, then smaller tiles. Others: guidance in two halves, then smaller tiles of decoder and
    denoiser; window lengths are kept, because a temporal network is not the same with another one.
    """
    return _local_ladder(rung, max(width, height)) if local else _blended_ladder(rung, max(width, height), overlap_px)


def _local_ladder(rung: Rung, edge: int) -> tuple[Rung, ...]:
    rungs: list[Rung] = []
    current = rung
    while current.chunk_frames > 4:
        current = replace(current, chunk_frames=max(current.chunk_frames // 2, 4))
        rungs.append(current)
    for tile in _halved(edge if current.tile_px is None else current.tile_px, LEAST_TILE_PX):
        current = replace(current, tile_px=tile)
        rungs.append(current)
    while current.chunk_frames > 1:
        current = replace(current, chunk_frames=current.chunk_frames // 2)
        rungs.append(current)
    return tuple(rungs)


def _blended_ladder(rung: Rung, edge: int, overlap_px: int) -> tuple[Rung, ...]:
    """It is not known which of the two networks ran out, so their tiles shrink in turn, the decoder's first."""
    rungs: list[Rung] = []
    current = rung
    if current.batched_guidance:
        current = replace(current, batched_guidance=False)
        rungs.append(current)
    tiles = _halved(min(current.tile_px or edge, edge), max(LEAST_TILE_PX, 2 * overlap_px))
    decode_tiles = _halved(min(current.decode_tile_px, edge), LEAST_TILE_PX // 2) if current.decode_tile_px else []
    for decode_tile, tile in zip_longest(decode_tiles, tiles):
        if decode_tile is not None:
            current = replace(current, decode_tile_px=decode_tile)
            rungs.append(current)
        if tile is not None:
            current = replace(current, tile_px=tile)
            rungs.append(current)
    return tuple(rungs)


def _halved(edge: int, least: int) -> list[int]:
    """Tile sizes from half of ``edge`` down to ``least``."""
    sizes = []
    while edge // 2 >= least:
        edge //= 2
        sizes.append(_round_up(edge, ALIGN_PX))
    return sizes
