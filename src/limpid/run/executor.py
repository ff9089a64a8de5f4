"""Runs a plan: decoding, computing and encoding overlap, and every finished segment is durable.

Three threads and two bounded queues: `Feed` decodes ahead, the calling thread computes, `Sink` encodes behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from limpid.cuts.base import Cuts
from limpid.durable.files import fsync_path
from limpid.durable.interrupt import Interrupts
from limpid.plan.allocator import trim_heap
from limpid.plan.segments import Plan, Rung, Stretch, add_halo
from limpid.restoration.chunk import Carry, Compute
from limpid.restoration.chunks import ChunkLoop, Ladder
from limpid.restoration.times import Times
from limpid.run.events import Meter, Teller
from limpid.run.feed import Feed, Read
from limpid.run.journal import Finished, Journal, carry_name
from limpid.run.sink import QUEUED_PIECES, OpenWriter, Sink
from limpid.types import Segment, Window

PIECE_BYTES = 64 << 20
MOST_PIECE_FRAMES = 8
"""What waits to be encoded: at most three pieces of this size."""
WAITING_PIECES = 1 + QUEUED_PIECES
RATE_AFTER_S = 2.0
"""Seconds of work after which a run that had no trial says what it will take."""


def piece_frames(frame_bytes: int) -> int:
    """Finished frames that are handed to the encoder at once."""
    return max(1, min(MOST_PIECE_FRAMES, PIECE_BYTES // frame_bytes))


@dataclass(frozen=True, kw_only=True)
class RunJob:
    """What `run_segments` needs; the parts that tests replace by simple ones."""

    journal: Journal
    read: Read
    group_frames: int
    compute: Compute
    open_writer: OpenWriter
    suffix: str
    """Suffix of the names of segment files, ``.mp4`` for instance; empty for folders of images."""
    pts: Sequence[int]
    rungs: Sequence[Rung]
    """What to step down to when memory runs out, see `limpid.cuts.base.Cuts.ladder`."""
    teller: Teller
    cuts: Cuts
    """How segments are joined into stretches, and these cut into chunks."""
    carries: bool = False
    """Whether a segment hands tensors on to the next one of its shot."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    interrupts: Interrupts = field(default_factory=Interrupts)
    times: Times = field(default_factory=Times)
    """Where the time of this run goes."""
    stop_reading: Callable[[], None] = lambda: None
    """Ends a ``read`` that waits for frames that nobody wants any more."""
    expected_fps: float | None = None
    """What a trial measured."""
    on_rate: Callable[[float, float], None] = lambda rate, left_s: None
    """Told frames per second and the seconds left, once, where there was no trial."""

    @property
    def plan(self) -> Plan:
        return self.journal.plan

    def unfinished(self, segments: Iterable[Segment]) -> list[Segment]:
        """Those that are not durable yet."""
        return [segment for segment in segments if segment.index not in self.journal.finished]

    def windows(self, stretches: Iterable[Stretch]) -> list[Window]:
        """The frames that may be read for what is left of some stretches."""
        rungs = (self.plan.rung, *self.rungs)
        return [
            w for s in stretches for w in read_windows(s, self.unfinished(s.segments), rungs, self.plan.halo_frames)
        ]


def read_windows(stretch: Stretch, left: Iterable[Segment], rungs: Iterable[Rung], halo_frames: int) -> list[Window]:
    """The frames that may be read for the segments that are left of a stretch, chunks being of any of these sizes.

    Chunks do not begin where segments do: a chunk that holds the first frame of a segment may begin a whole chunk
    earlier, and reads its halo before that.
    """
    if len(stretch.segments) == 1:
        return [stretch.segments[0].halo]
    first, core = stretch.segments[0], stretch.core
    start, stop = max(core.start - halo_frames, first.shot_start), min(core.stop + halo_frames, first.shot_stop)
    longest = max(rung.chunk_frames for rung in rungs) + 2 * halo_frames
    return [add_halo(s.core, shot_start=start, shot_stop=stop, halo=longest + halo_frames) for s in left]


def run_segments(job: RunJob) -> None:
    """Compute and encode every segment that is not finished yet.

    Raises:
        ResourceError: when memory runs out on the lowest rung.
        OutputError: when the disk is full.
        KeyboardInterrupt: after Ctrl-C or termination; what was finished by then is in the journal.
    """
    todo = job.unfinished(job.plan.segments)
    if not todo:
        return
    done = sum(len(s.core) for s in job.plan.segments) - sum(len(s.core) for s in todo)
    job.teller.stage("run")
    meter = Meter(job.teller, "run", total=len(job.plan.frames), before=done, expected=job.expected_fps)
    times = job.times
    times.clear()  # of a trial
    stretches = [s for s in job.cuts.stretches(job.plan.segments) if job.unfinished(s.segments)]
    with (
        Feed(job.read, job.windows(stretches), job.group_frames, times, job.stop_reading) as feed,
        Sink(job.open_writer, job.journal, job.suffix, times) as sink,
    ):
        meter.start()
        runner = _Runner(job=job, feed=feed, sink=sink, meter=meter)
        for stretch in stretches:
            runner.run(stretch)
        sink.close()
        runner.tell_committed()


@dataclass(kw_only=True)
class _Runner:
    job: RunJob
    feed: Feed
    sink: Sink
    meter: Meter
    todo: Sequence[Segment] = ()
    """Unfinished segments of the stretch that is worked on."""
    made: int = 0
    """Frames of this run that are whole."""
    rate_known: bool = False

    def __post_init__(self) -> None:
        job = self.job
        ladder = Ladder(
            first=job.plan.rung,
            lower=job.rungs,
            device=job.device,
            taken=list(job.journal.lowered),
            on_lower=self._tell_lower,
        )
        self.loop = ChunkLoop(
            cuts=job.cuts,
            compute=job.compute,
            take=self.feed.window,
            ladder=ladder,
            halo_frames=job.plan.halo_frames,
            on_share=self._on_share,
            guard=job.interrupts.interruptible,
        )

    def run(self, stretch: Stretch) -> None:
        self.todo = todo = self.job.unfinished(stretch.segments)
        carry_out: dict[str, Tensor] = {}
        carry_in = self._load_carry(todo[0])

        def wanted(core: Window) -> bool:
            return any(core.start < s.core.stop and s.core.start < core.stop for s in todo)

        for chunk, frames in self.loop.run(stretch, wanted, carry_in, carry_out):
            trim_heap()  # the frames of an encoder do not fit into the pieces that the work on tiles leaves
            self._store(todo, chunk, frames, carry_out)
            del frames
            self.made += self._of_use(chunk)
            self.meter.update(self.made)
            self.tell_committed()
            self.job.interrupts.check()

    def _store(self, todo: Sequence[Segment], chunk: Segment, frames: Tensor, carry_out: Carry) -> None:
        """Hand the frames of a chunk to the segments that they belong to."""
        for segment in todo:
            start = max(chunk.core.start, segment.core.start)
            stop = min(chunk.core.stop, segment.core.stop)
            if start >= stop:
                continue
            if start == segment.core.start:
                self.sink.begin(segment)
            self._write(frames[start - chunk.core.start : stop - chunk.core.start], self.job.pts[start:stop])
            if stop == segment.core.stop:
                self.sink.end(self._save_carry(segment, carry_out))

    def _write(self, frames: Tensor, pts: Sequence[int]) -> None:
        """Hand a chunk over in small copies, so that its memory is free while the next one is computed."""
        step = piece_frames(frames[0].numel() * frames.element_size())
        for start in range(0, len(frames), step):
            part = slice(start, start + step)
            self.sink.write(frames[part].clone(), pts[part])

    def tell_committed(self) -> None:
        for done in self.sink.take_committed():
            tell_segment(self.job.teller, self.job.plan, done)

    def _on_share(self, chunk: Segment, share: float) -> None:
        self.sink.check()
        self.job.interrupts.check()
        self.meter.update(self.made + share * self._of_use(chunk))
        rate = self.meter.rate()
        if rate is not None and not self.rate_known and self.meter.elapsed_s() >= RATE_AFTER_S:
            self.rate_known = True
            self.job.on_rate(rate, self.meter.left_s() or 0.0)

    def _of_use(self, chunk: Segment) -> int:
        """How many frames of a chunk belong to segments that are not finished yet."""
        cores = [segment.core for segment in self.todo]
        return sum(max(min(chunk.core.stop, c.stop) - max(chunk.core.start, c.start), 0) for c in cores)

    def _tell_lower(self, frame: int, rung: Rung) -> None:
        self.job.journal.add_rung(rung, frame)
        tell_lower(self.job.teller, rung, self.job.cuts)

    def _carry_path(self, index: int) -> Path:
        return self.job.journal.folder / carry_name(index)

    def _load_carry(self, segment: Segment) -> Carry:
        """What the segment before in the same shot left behind; empty at the start of a shot."""
        if not self.job.carries or segment.core.start == segment.shot_start or segment.index == 0:
            return {}
        from safetensors.torch import load_file

        before = self._carry_path(segment.index - 1)
        return load_file(before, device=str(self.job.device)) if before.exists() else {}

    def _save_carry(self, segment: Segment, carry: Carry) -> Path | None:
        if not self.job.carries or not carry:
            return None
        from safetensors.torch import save_file

        path = self._carry_path(segment.index)
        save_file({name: value.detach().cpu().contiguous() for name, value in carry.items()}, path)
        fsync_path(path)
        return path


def tell_segment(teller: Teller, plan: Plan, done: Finished) -> None:
    """Say that a segment is durable."""
    core = plan.segments[done.index - plan.segments[0].index].core  # a worker has a part of the plan
    teller.tell("segment", index=done.index, of=len(plan.segments), start=core.start, stop=core.stop, bytes=done.size)


def tell_lower(teller: Teller, rung: Rung, cuts: Cuts) -> None:
    """Say that memory ran out, and what the run goes on with."""
    teller.tell("rung", **rung.to_dict())
    teller.warn(f"out of memory: going on with {_describe(rung)}{cuts.lower_note}")


def _describe(rung: Rung) -> str:
    tile = f" and tiles of {rung.tile_px} px" if rung.tile_px else ""
    return f"{rung.chunk_frames} frames at once{tile}"
