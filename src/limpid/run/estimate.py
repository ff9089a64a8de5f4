"""How long a run will take and how much disk it needs, from one trial of a few frames, before the run begins."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.cuts.base import Cuts
from limpid.durable.files import bytes_text, clear_temporary, discard, existing_parent, size_of
from limpid.plan.device import is_out_of_memory
from limpid.plan.segments import Plan, Stretch, add_halo
from limpid.restoration.chunk import Chunk, Compute
from limpid.restoration.restorer import LEAST_SIDE, Restorer
from limpid.run.feed import Read
from limpid.run.sink import Writer
from limpid.types import OutputSpec, ResourceError, Segment, VideoFrame, Window
from limpid.video import picture_depth

TRIAL_FRAMES = 8
MOST_TRIAL_PX, TRIAL_PART_PX = 1 << 18, 384
"""Input pictures of more pixels are tried in part: the side of the square in their middle."""
WORTH_IT_IN_A_RUN = 25
"""A run must be so many times longer than the trial to have one before it."""
MOST_TRIAL_S = 10.0
"""A trial that takes longer is ended after the next tile: what is done by then says how long the rest takes."""
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


def worth_a_trial(plan: Plan, *, dry: bool) -> bool:
    """``dry``: the user asks what a run would take. One that goes on shows its speed soon enough by itself."""
    return dry or len(plan.frames) >= WORTH_IT_IN_A_RUN * len(trial_chunk(plan).core)


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
    restorer: Restorer,
    size: tuple[int, int],
    open_as: OpenAs,
    spec: OutputSpec,
    segment_spec: OutputSpec,
    shared: bool,
    folder: Path | None = None,
) -> Estimate:
    """Compute and encode the trial chunk in a temporary folder and extrapolate to the whole plan.

    Of large pictures only a part in their middle is tried, so that a trial takes seconds and little memory.

    Args:
        folder: where the encoded trial lies for a moment; None: in a temporary folder of the system.
        size: height and width of the input.
        shared: whether computing and encoding share the processor, so that their times add up.
    """
    chunk, part = trial_chunk(plan), trial_part(size)
    small = restorer if part is None else restorer.of_part(size, (len(part[0]), len(part[1])))
    try:
        result, seconds = _timed_compute(plan, chunk, _read_part(read, chunk.halo, part), small)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return guess(plan, spec, segment_spec)  # the run itself steps down and says so
    seconds *= _work(restorer, size, plan) / _work(restorer, size if part is None else _lengths(part), plan)
    cuts, count = restorer.method.cuts, len(plan.frames)
    computed = sum(len(c.halo) for stretch in cuts.stretches(plan.segments) for c in chunks(cuts, stretch, plan))
    compute_s = seconds * computed / len(chunk.halo)
    if result is None:
        sizes = guess(plan, spec, segment_spec)
        return replace(sizes, seconds=compute_s, frames_per_s=count / compute_s, calibrated=True)
    area = restorer.width * restorer.height / (small.width * small.height)
    trial_specs = [
        spec if part is None else replace(spec, width=small.width, height=small.height) for spec in (segment_spec, spec)
    ]
    segment_size, encode_s = _timed_encode(open_as, trial_specs[0], result, folder)
    output_size = segment_size
    if spec != segment_spec:
        output_size = _timed_encode(open_as, trial_specs[1], _of_depth(result, segment_spec, spec), folder)[0]
    trial = len(chunk.core)
    encode_s *= area * count / trial
    total = compute_s + encode_s if shared else max(compute_s, encode_s)
    return Estimate(
        seconds=total,
        frames_per_s=count / total if total > 0 else None,
        segment_bytes=int(area * segment_size * count / trial),
        output_bytes=int(area * output_size * count / trial),
        calibrated=True,
    )


_Part = tuple[range, range]
"""Rows and columns of the input."""


def trial_part(size: tuple[int, int]) -> _Part | None:
    """The middle of large pictures, height and width given; None: the whole picture is small enough."""
    if size[0] * size[1] <= MOST_TRIAL_PX:
        return None
    sides = [min(length, TRIAL_PART_PX) for length in size]
    rows, columns = (range((a - b) // 2, (a - b) // 2 + b) for a, b in zip(size, sides, strict=True))
    return rows, columns


def _lengths(part: _Part) -> tuple[int, int]:
    return len(part[0]), len(part[1])


def _work(restorer: Restorer, size: tuple[int, int], plan: Plan) -> int:
    """LR pixels that the network computes of one frame, those of halos too."""
    pieces = restorer.pieces(size, plan.rung)
    return sum((r.stop - r.start) * (c.stop - c.start) for r, c in pieces) if pieces else size[0] * size[1]


def _read_part(read: Read, window: Window, part: _Part | None) -> list[VideoFrame]:
    """Frames of a window; of a part of them, one whole frame is held at a time."""
    if part is None:
        return list(read(window))
    rows, columns = (slice(axis.start, axis.stop) for axis in part)
    numbers = range(window.start, window.stop)
    whole = (read(Window(start=number, stop=number + 1))[0] for number in numbers)
    return [frame._replace(pixels=frame.pixels[rows, columns].copy()) for frame in whole]


def _of_depth(pictures: Tensor, made: OutputSpec, wanted: OutputSpec) -> Tensor:
    """Pictures in the format of another spec, near enough to see how many bytes they take."""
    depth, target = picture_depth(made), picture_depth(wanted)
    if depth == target:
        return pictures
    values = pictures.numpy() * ((2**target - 1) / (2**depth - 1))
    return torch.from_numpy(values.round().astype("uint8" if target == 8 else "uint16"))


def chunks(cuts: Cuts, stretch: Stretch, plan: Plan) -> Iterator[Segment]:
    """All chunks of a stretch when memory never runs out."""
    position = stretch.core.start
    while position < stretch.core.stop:
        chunk = cuts.chunk(stretch, position, plan.rung, plan.halo_frames)
        yield chunk
        position = chunk.core.stop


class _EnoughError(Exception):
    """Ends a trial that is long enough."""


@dataclass
class _Watch:
    """Ends a computation some time after its work began, and says how long all of it would take."""

    most_s: float
    began: float = 0.0
    whole_s: float = 0.0

    def __post_init__(self) -> None:
        self.began = time.perf_counter()

    def __call__(self, share: float) -> None:
        if share == 0:
            self.began = time.perf_counter()  # weights are loaded
        elif share < 1 and self.elapsed_s() > self.most_s:
            self.whole_s = self.elapsed_s() / share
            raise _EnoughError

    def elapsed_s(self) -> float:
        return time.perf_counter() - self.began


def _timed_compute(
    plan: Plan, chunk: Segment, frames: Sequence[VideoFrame], compute: Compute
) -> tuple[Tensor | None, float]:
    """The second of two tries when the first was quick: it loads weights and warms up.

    Of one that takes long only a part is computed; there is no result then.
    """
    for _ in range(2):
        watch = _Watch(MOST_TRIAL_S)
        try:
            result = compute(Chunk(frames=frames, segment=chunk, rung=plan.rung, on_share=watch))
        except _EnoughError:
            return None, watch.whole_s
        seconds = watch.elapsed_s()
        if seconds > 5:
            break
    return result, seconds


def _timed_encode(open_as: OpenAs, spec: OutputSpec, frames: Tensor, folder: Path | None) -> tuple[int, float]:
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="limpid-")))
        path = place / f"trial{suffix_of(spec)}"
        clear_temporary(path)
        stack.callback(discard, path)
        step = max(int(1 / (spec.fps * spec.time_base)), 1)
        started = time.perf_counter()
        with open_as(path, spec) as writer:
            writer.write(frames, [i * step for i in range(len(frames))])
        return size_of(path), time.perf_counter() - started


def suffix_of(spec: OutputSpec) -> str:
    """Suffix of the names of segment files, for people who look at them; empty for folders of images."""
    return "" if spec.codec == "images" else ".mov" if spec.codec == "prores" else ".nut"


def reduced_note(size: tuple[int, int], restorer: Restorer, estimate: Estimate) -> str | None:
    """What it costs to restore a picture of ``size`` (height and width) that is then no larger than it was, and what
    costs less; None for larger ones."""
    height, width = size
    scale = restorer.method.scale
    if restorer.width * restorer.height > width * height:
        return None
    speed = estimate.frames_per_s
    time_text = f" ({1 / speed:.3g} s per frame here)" if speed else ""
    low, high = f"{width}x{height}", f"{width * scale}x{height * scale}"
    small = max(restorer.width // scale, LEAST_SIDE), max(restorer.height // scale, LEAST_SIDE)
    times = width * height / (small[0] * small[1])
    return (
        f"the output, {restorer.width}x{restorer.height}, is no larger than the input, {low}: frames are restored at "
        f"{high} and reduced, which takes as long as --scale {scale}{time_text}; where the input holds no more detail "
        f"than {small[0]}x{small[1]}, reduce it to that first and use --scale {scale}: {times:.0f} times less work"
    )


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
