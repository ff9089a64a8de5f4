"""Runs a plan: decoding, computing and encoding overlap, and every finished segment is durable.

Three threads and two bounded queues: `Feed` decodes ahead, the calling thread computes, `Sink` encodes behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from limpid.durable.files import fsync_path
from limpid.durable.interrupt import Interrupts
from limpid.plan.device import empty_cache, is_out_of_memory
from limpid.plan.segments import Plan, Rung, Span, spans
from limpid.run.events import Meter, Teller
from limpid.run.feed import Feed, Read
from limpid.run.journal import Journal
from limpid.run.sink import OpenWriter, Sink
from limpid.types import ResourceError, Segment, VideoFrame

PIECE_BYTES = 64 << 20
MOST_PIECE_FRAMES = 8
"""What waits to be encoded: at most three pieces of this size."""

Carry = Mapping[str, Tensor]


class Compute(Protocol):
    """Frames of ``chunk.halo`` -> finished frames of ``chunk.core``, ``t 3|4 H W`` float32 in [0, 1] on the CPU."""

    def __call__(
        self,
        frames: Sequence[VideoFrame],
        chunk: Segment,
        rung: Rung,
        *,
        on_step: Callable[[int, int], None] | None = None,
        carry_in: Carry | None = None,
        carry_out: dict[str, Tensor] | None = None,
    ) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Job:
    """What `run_segments` needs; the parts that tests replace by simple ones."""

    journal: Journal
    read: Read
    group_frames: int
    compute: Compute
    open_writer: OpenWriter
    suffix: str
    """Of the names of segment files, ``.mp4`` for instance; empty for folders of images."""
    pts: Sequence[int]
    rungs: Sequence[Rung]
    """What to step down to when memory runs out, see `limpid.plan.segments.ladder`."""
    teller: Teller
    carries: bool = False
    """Whether a segment hands tensors on to the next one of its shot."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    interrupts: Interrupts = field(default_factory=Interrupts)

    @property
    def plan(self) -> Plan:
        return self.journal.plan

    def todo(self) -> list[Segment]:
        return [segment for segment in self.plan.segments if segment.index not in self.journal.finished]


def run_segments(job: Job) -> None:
    """Compute and encode every segment that is not finished yet.

    Raises:
        ResourceError: when memory runs out on the lowest rung.
        OutputError: when the disk is full.
        KeyboardInterrupt: after Ctrl-C or termination; what was finished by then is in the journal.
    """
    todo = job.todo()
    if not todo:
        return
    done = sum(len(s.core) for s in job.plan.segments) - sum(len(s.core) for s in todo)
    job.teller.stage("run")
    meter = Meter(job.teller, "run", total=len(job.plan.frames), before=done)
    with (
        Feed(job.read, todo, job.group_frames) as feed,
        Sink(job.open_writer, job.journal, job.suffix) as sink,
    ):
        meter.start()
        runner = _Runner(job=job, feed=feed, sink=sink, meter=meter)
        for span in spans(todo, local=job.plan.local):
            runner.run(span)
        sink.close()
        runner.tell_committed()


@dataclass(kw_only=True)
class _Runner:
    job: Job
    feed: Feed
    sink: Sink
    meter: Meter

    def run(self, span: Span) -> None:
        carry_in, carry_out = self._load_carry(span.segments[0]), dict[str, Tensor]()
        for chunk, frames in self._chunks(span, carry_in, carry_out):
            self._store(span, chunk, frames, carry_out)
            del frames
            self.meter.add(len(chunk.core))
            self.tell_committed()
            self.job.interrupts.check()

    def _store(self, span: Span, chunk: Segment, frames: Tensor, carry_out: Carry) -> None:
        """Hand the frames of a chunk to the segments that they belong to."""
        for segment in span.segments:
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
        step = max(1, min(MOST_PIECE_FRAMES, PIECE_BYTES // (frames[0].numel() * frames.element_size())))
        for start in range(0, len(frames), step):
            part = slice(start, start + step)
            self.sink.write(frames[part].clone(), pts[part])

    def tell_committed(self) -> None:
        for done in self.sink.take_committed():
            segment = self.job.plan.segments[done.index]
            of = len(self.job.plan.segments)
            core = {"start": segment.core.start, "stop": segment.core.stop}
            self.job.teller.tell("segment", index=done.index, of=of, **core, bytes=done.size)

    def _chunks(self, span: Span, carry_in: Carry, carry_out: dict[str, Tensor]) -> Iterator[tuple[Segment, Tensor]]:
        plan, position = self.job.plan, span.core.start
        while position < span.core.stop:
            rung = self.job.journal.rung
            chunk = span.chunk(position, chunk_frames=rung.chunk_frames, halo_frames=plan.halo_frames, local=plan.local)
            frames = self._try(chunk, rung, carry_in, carry_out)
            if frames is None:
                continue
            if len(frames) != len(chunk.core):
                raise RuntimeError(f"{len(frames)} frames were computed for {chunk.core}")
            yield chunk, frames
            del frames  # let go of the chunk before the next one is computed
            position = chunk.core.stop

    def _try(self, chunk: Segment, rung: Rung, carry_in: Carry, carry_out: dict[str, Tensor]) -> Tensor | None:
        """One chunk; None after memory ran out and the next lower rung is set."""
        out: dict[str, Tensor] = {}
        frames = self.feed.window(chunk.halo)
        try:
            with self.job.interrupts.interruptible():
                result = self.job.compute(frames, chunk, rung, on_step=self._on_step, carry_in=carry_in, carry_out=out)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            message = str(error).split("\n", 1)[0]
        else:
            carry_out.update(out)
            return result
        # Outside of the handler, where the traceback no longer keeps the tensors of the failed try alive.
        self._step_down(rung, message)
        return None

    def _on_step(self, done: int, total: int) -> None:
        self.sink.check()

    def _step_down(self, rung: Rung, message: str) -> None:
        rungs = list(self.job.rungs)
        lower = rungs[rungs.index(rung) + 1 :] if rung in rungs else rungs
        if not lower:
            size = f"tiles of {rung.tile_px} px" if rung.tile_px else "the whole frame as one tile"
            raise ResourceError(
                f"out of memory with {rung.chunk_frames} frames at once and {size}, and there is nothing smaller to "
                f"try: close other programs, use a smaller --segment-frames or another device ({message})"
            )
        empty_cache(self.job.device)
        self.job.journal.add_rung(lower[0])
        self.job.teller.tell("rung", **lower[0].to_dict())
        same = "" if self.job.plan.local else "; the result differs slightly from one with enough memory"
        self.job.teller.warn(f"out of memory: going on with {_describe(lower[0])}{same}")

    def _carry_path(self, index: int) -> Path:
        return self.job.journal.folder / f"{index:06d}.carry.safetensors"

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


def _describe(rung: Rung) -> str:
    tile = f" and tiles of {rung.tile_px} px" if rung.tile_px else ""
    return f"{rung.chunk_frames} frames at once{tile}"
