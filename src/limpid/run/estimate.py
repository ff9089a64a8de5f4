"""How long a run will take and how much disk it needs, from one trial of a few frames, before the run begins."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from limpid.cuts.base import Cuts
from limpid.durable.files import bytes_text, existing_parent, size_of
from limpid.plan.device import is_out_of_memory
from limpid.plan.segments import Plan, Stretch, add_halo
from limpid.restoration.chunk import Chunk, Compute
from limpid.run.feed import Read
from limpid.run.sink import Writer
from limpid.types import OutputSpec, ResourceError, Segment, Window

TRIAL_FRAMES = 8
WORTH_IT = 5
"""A run must be so many times longer than the trial to be worth one."""
GUESSED_BYTES_PER_PX = {"h264": 0.3, "h265": 0.25, "av1": 0.25, "ffv1": 1.8, "prores": 1.0, "images": 2.5}
"""At 8 bits, on the safe side; for runs that are too short for a trial."""
SIDE_STREAM_BYTES_PER_S = 64_000
OpenAs = Callable[[Path, OutputSpec], AbstractContextManager[Writer]]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a whole run needs. ``seconds`` is None when nothing was measured."""

    seconds: float | None
    frames_per_s: float | None
    segment_bytes: int
    output_bytes: int
    calibrated: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def worth_a_trial(plan: Plan) -> bool:
    return len(plan.frames) >= WORTH_IT * len(trial_chunk(plan).core)


def trial_chunk(plan: Plan) -> Segment:
    """A few frames of the first segment, or one window of it for methods that compute a segment at once."""
    segment = plan.segments[0]
    count = min(plan.rung.chunk_frames, max(TRIAL_FRAMES, plan.rung.window_frames or 0), len(segment.core))
    core = Window(start=segment.core.start, stop=segment.core.start + count)
    halo = add_halo(
        core, shot_start=segment.shot_start, shot_stop=segment.shot_stop, halo=plan.halo_frames, grid=plan.grid_frames
    )
    return Segment(
        index=segment.index,
        shot=segment.shot,
        shot_start=segment.shot_start,
        shot_stop=segment.shot_stop,
        core=core,
        halo=halo,
    )


def guess(plan: Plan, spec: OutputSpec, segment_spec: OutputSpec) -> Estimate:
    """Without a trial: disk space on the safe side, time unknown."""
    count = len(plan.frames)
    segment, output = (int(count * _guessed_bytes(s)) for s in (segment_spec, spec))
    return Estimate(seconds=None, frames_per_s=None, segment_bytes=segment, output_bytes=output, calibrated=False)


def _guessed_bytes(spec: OutputSpec) -> float:
    return spec.width * spec.height * GUESSED_BYTES_PER_PX[spec.codec] * spec.bit_depth / 8


def calibrate(
    plan: Plan,
    *,
    read: Read,
    cuts: Cuts,
    compute: Compute,
    open_as: OpenAs,
    spec: OutputSpec,
    segment_spec: OutputSpec,
    shared: bool,
) -> Estimate:
    """Compute and encode the trial chunk in a temporary folder and extrapolate to the whole plan.

    Args:
        shared: whether computing and encoding share the processor, so that their times add up.
    """
    chunk = trial_chunk(plan)
    try:
        result, seconds = _timed_compute(plan, chunk, read, compute)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return guess(plan, spec, segment_spec)  # the run itself steps down and says so
    segment_size, encode_s = _timed_encode(open_as, segment_spec, result)
    output_size = segment_size if spec == segment_spec else _timed_encode(open_as, spec, result)[0]
    count, trial = len(plan.frames), len(chunk.core)
    computed = sum(len(c.halo) for stretch in cuts.stretches(plan.segments) for c in chunks(cuts, stretch, plan))
    compute_s, encode_s = seconds * computed / len(chunk.halo), encode_s * count / trial
    total = compute_s + encode_s if shared else max(compute_s, encode_s)
    return Estimate(
        seconds=total,
        frames_per_s=count / total if total > 0 else None,
        segment_bytes=segment_size * count // trial,
        output_bytes=output_size * count // trial,
        calibrated=True,
    )


def chunks(cuts: Cuts, stretch: Stretch, plan: Plan) -> Iterator[Segment]:
    """All chunks of a stretch when memory never runs out."""
    position = stretch.core.start
    while position < stretch.core.stop:
        chunk = cuts.chunk(stretch, position, plan.rung, plan.halo_frames)
        yield chunk
        position = chunk.core.stop


def _timed_compute(plan: Plan, chunk: Segment, read: Read, compute: Compute) -> tuple[Tensor, float]:
    """The second of two tries when the first was quick: it loads weights and warms up."""
    frames = read(chunk.halo)
    for _ in range(2):
        started = time.perf_counter()
        result = compute(Chunk(frames=frames, segment=chunk, rung=plan.rung))
        seconds = time.perf_counter() - started
        if seconds > 5:
            break
    return result, seconds


def _timed_encode(open_as: OpenAs, spec: OutputSpec, frames: Tensor) -> tuple[int, float]:
    with tempfile.TemporaryDirectory(prefix="limpid-") as folder:
        path = Path(folder) / f"trial{suffix_of(spec)}"
        step = max(int(1 / (spec.fps * spec.time_base)), 1)
        started = time.perf_counter()
        with open_as(path, spec) as writer:
            writer.write(frames, [i * step for i in range(len(frames))])
        return size_of(path), time.perf_counter() - started


def suffix_of(spec: OutputSpec) -> str:
    """Of the names of segment files, for people who look at them; nothing for folders of images."""
    return "" if spec.codec == "images" else ".mov" if spec.codec == "prores" else ".nut"


def check_space(
    estimate: Estimate, *, work: Path, output: Path, left: float, num_side_streams: int, duration_s: float
) -> str | None:
    """Raises ResourceError when the disk is too small; a sentence when it is only just large enough.

    Args:
        left: part of the segments that is still to be made, 0 to 1.
    """
    side = num_side_streams * duration_s * SIDE_STREAM_BYTES_PER_S
    needs = [
        (existing_parent(work), estimate.segment_bytes * left),
        (existing_parent(output), estimate.output_bytes + side),
    ]
    disks: dict[int, tuple[Path, float]] = {}
    for folder, need in needs:
        device = folder.stat().st_dev
        disks[device] = (folder, disks.get(device, (folder, 0.0))[1] + need)
    tight = None
    for folder, need in disks.values():
        free = shutil.disk_usage(folder).free
        says = f"about {bytes_text(need)} are needed on the disk of {folder}, and {bytes_text(free)} are free"
        if need > free:
            raise ResourceError(f"{says}; free some space, choose --work-dir on another disk, or a higher --crf")
        if need * 1.3 > free:
            tight = f"disk space is tight: {says}"
    return tight


def free_disk_bytes(output: Path) -> int:
    return shutil.disk_usage(existing_parent(output)).free
