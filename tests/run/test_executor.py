"""Threads, queues, durability and the out-of-memory ladder, with a decoder, network and encoder of a few lines each."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from limpid.cuts.blended import Blended
from limpid.cuts.local import Local
from limpid.durable.files import sha256_of
from limpid.durable.interrupt import Interrupts, stopping_cleanly
from limpid.plan.segments import Cutting, Plan, Rung, plan_segments
from limpid.restoration.chunk import Chunk
from limpid.run.events import Teller
from limpid.run.executor import RunJob, run_segments
from limpid.run.feed import Feed, needed_windows
from limpid.run.journal import Journal
from limpid.types import Interrupted, OutputError, ResourceError, Segment, VideoFrame, Window

FRAMES = 60
SHOTS = [(0, 25), (25, 26), (26, 60)]


def frame(index: int) -> VideoFrame:
    return VideoFrame(index, np.full((2, 3, 3), index, np.uint16))


@dataclass
class Reader:
    """Frames that hold their number; remembers what it was asked for."""

    calls: list[Window] = field(default_factory=list)
    fail_at: int | None = None

    def __call__(self, window: Window) -> Sequence[VideoFrame]:
        self.calls.append(window)
        if self.fail_at is not None and window.stop > self.fail_at:
            raise ValueError("the decoder failed")
        return [frame(i) for i in range(window.start, window.stop)]


@dataclass
class Compute:
    """Each frame becomes its number plus the mean of what a halo of 2 shows of its shot: wrong halos are seen."""

    before: Callable[[Segment, Rung], None] = lambda chunk, rung: None
    chunks: list[Segment] = field(default_factory=list)
    largest: int = 0

    def __call__(self, given: Chunk) -> Tensor:
        frames, chunk = given.frames, given.segment
        assert not isinstance(frames, Tensor)
        assert [f.index for f in frames] == list(range(chunk.halo.start, chunk.halo.stop))
        self.before(chunk, given.rung)
        self.chunks.append(chunk)
        self.largest = max(self.largest, len(frames))
        values = {f.index: float(f.pixels[0, 0, 0]) for f in frames}
        near = [
            [values[j] for j in range(i - 2, i + 3) if chunk.shot_start <= j < chunk.shot_stop]
            for i in range(chunk.core.start, chunk.core.stop)
        ]
        out = [values[i] + sum(n) for i, n in zip(range(chunk.core.start, chunk.core.stop), near, strict=True)]
        given.carry_out["count"] = given.carry_in.get("count", torch.zeros(1)) + len(out)
        return torch.tensor(out)[:, None, None, None].expand(-1, 3, 2, 3)


@contextmanager
def text_writer(path: Path, first_frame: int) -> Iterator[Any]:
    """Frames as lines of text: number from the timestamp and value."""

    class Writer:
        lines: list[str]

        def write(self, frames: Tensor, pts: Sequence[int]) -> None:
            self.lines += [f"{p} {float(f[0, 0, 0])}\n" for f, p in zip(frames, pts, strict=True)]

    writer = Writer()
    writer.lines = []
    yield writer
    path.write_text("".join(writer.lines))


def make_job(folder: Path, *, chunk_frames: int = 8, local: bool = True, **changes: Any) -> RunJob:
    frames = Window(start=0, stop=FRAMES)
    cutting = Cutting(frames=10, longest_frames=10, halo_frames=2)
    plan = Plan(
        segments=plan_segments(SHOTS, frames, cutting),
        frames=frames,
        local=local,
        halo_frames=2,
        grid_frames=1,
        rung=Rung(chunk_frames=chunk_frames),
        threads=1,
        peak_bytes=1,
    )
    cuts = Local(reach_frames=2) if local else Blended()
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal.load(folder) or Journal.create(folder, {}, plan, {})
    defaults: dict[str, Any] = {
        "read": Reader(),
        "group_frames": 3,
        "compute": Compute(),
        "open_writer": text_writer,
        "suffix": ".txt",
        "pts": [10 * i for i in range(FRAMES)],
        "rungs": cuts.ladder(journal.plan.rung, 256, 100),
        "cuts": cuts,
        "teller": Teller(),
    }
    return RunJob(journal=journal, **{**defaults, **changes})


def result(folder: Path) -> list[tuple[int, float]]:
    journal = Journal.load(folder)
    assert journal is not None
    lines: list[str] = []
    for segment in journal.plan.segments:
        lines += (folder / journal.finished[segment.index].file).read_text().splitlines()
    return [(int(a), float(b)) for a, b in (line.split() for line in lines)]


def truth() -> list[tuple[int, float]]:
    values = []
    for start, stop in SHOTS:
        for i in range(start, stop):
            values.append((10 * i, float(i + sum(j for j in range(i - 2, i + 3) if start <= j < stop))))
    return values


@pytest.mark.parametrize("chunk_frames", [1, 3, 8, 64])
def test_every_frame_is_computed_from_its_whole_neighbourhood(tmp_path: Path, chunk_frames: int) -> None:
    job = make_job(tmp_path / "work", chunk_frames=chunk_frames)
    run_segments(job)
    assert result(tmp_path / "work") == truth()
    assert not [p for p in (tmp_path / "work").iterdir() if "partial" in p.name]


def test_every_frame_is_read_once_and_few_are_kept(tmp_path: Path) -> None:
    reader, compute = Reader(), Compute()
    run_segments(make_job(tmp_path / "work", read=reader, compute=compute))
    read = [i for window in reader.calls for i in range(window.start, window.stop)]
    assert read == list(range(FRAMES))
    assert compute.largest <= 8 + 2 * 2


def test_the_feed_keeps_no_more_than_a_window_and_a_group() -> None:
    segments = make_plan_segments()
    with Feed(Reader(), [s.halo for s in segments], 4) as feed:
        for segment in segments:
            assert [f.index for f in feed.window(segment.halo)] == list(range(segment.halo.start, segment.halo.stop))
            assert feed.num_live <= len(segment.halo) + 4


def make_plan_segments() -> tuple[Segment, ...]:
    cutting = Cutting(frames=10, longest_frames=10, halo_frames=2)
    return plan_segments([(0, 1000)], Window(start=0, stop=1000), cutting)


def test_halos_that_overlap_are_read_as_one_window() -> None:
    halos = [segment.halo for segment in make_plan_segments()]
    assert needed_windows(halos) == [Window(start=0, stop=1000)]
    assert needed_windows([halos[0], halos[5]]) == [Window(start=0, stop=12), Window(start=48, stop=62)]


def test_after_a_failure_only_unfinished_segments_are_computed(tmp_path: Path) -> None:
    def fail(chunk: Segment, rung: Rung) -> None:
        if chunk.core.start >= 30:
            raise ValueError("the network failed")

    with pytest.raises(ValueError, match="the network failed"):
        run_segments(make_job(tmp_path / "work", compute=Compute(before=fail)))
    done = Journal.load(tmp_path / "work")
    assert done is not None
    finished = set(done.finished)
    assert finished
    compute, reader = Compute(), Reader()
    run_segments(make_job(tmp_path / "work", compute=compute, read=reader))
    left = [s.core for s in done.plan.segments if s.index not in finished]
    # Chunks lie where they did before, so the first may begin before what is left; none is computed for nothing.
    assert all(any(overlap(c.core, core) for core in left) for c in compute.chunks)
    assert sum(len(c.core) for c in compute.chunks) < sum(map(len, left)) + 8 + 2 * 2
    assert min(w.start for w in reader.calls) > 0
    assert result(tmp_path / "work") == truth()


def overlap(one: Window, other: Window) -> bool:
    return one.start < other.stop and other.start < one.stop


@pytest.mark.parametrize("stage", ["read", "encode"])
def test_errors_of_the_threads_surface_and_leave_nothing_half_done(tmp_path: Path, stage: str) -> None:
    @contextmanager
    def broken(path: Path, first_frame: int) -> Iterator[Any]:
        if first_frame >= 20:
            raise ValueError("the encoder failed")
        with text_writer(path, first_frame) as writer:
            yield writer

    changes = {"read": {"read": Reader(fail_at=20)}, "encode": {"open_writer": broken}}[stage]
    before = threading.active_count()
    with pytest.raises(ValueError, match="failed"):
        run_segments(make_job(tmp_path / "work", **changes))
    assert threading.active_count() == before
    assert not [p for p in (tmp_path / "work").iterdir() if "partial" in p.name]
    run_segments(make_job(tmp_path / "work"))
    assert result(tmp_path / "work") == truth()


def test_a_full_disk_is_one_sentence_and_finished_segments_stay(tmp_path: Path) -> None:
    @contextmanager
    def full(path: Path, first_frame: int) -> Iterator[Any]:
        with text_writer(path, first_frame) as writer:
            yield writer
        if first_frame >= 20:
            path.unlink()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputError, match="no space left"):
        run_segments(make_job(tmp_path / "work", open_writer=full))
    journal = Journal.load(tmp_path / "work")
    assert journal is not None
    assert sorted(journal.finished) == [0, 1]


def now(journal: Journal) -> Rung:
    """What a run would go on with."""
    return journal.lowered[-1][1] if journal.lowered else journal.plan.rung


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("MPS backend out of memory")]
)
def test_out_of_memory_steps_down_journals_first_and_stays_there(tmp_path: Path, error: Exception) -> None:
    job: RunJob

    def limited(chunk: Segment, rung: Rung) -> None:
        assert now(job.journal) == rung
        written = Journal.load(tmp_path / "work")
        assert written is not None
        assert now(written) == rung
        if rung.chunk_frames > 4 or rung.tile_px is None or rung.tile_px > 64:
            raise error

    events: list[dict[str, Any]] = []
    compute = Compute(before=limited)
    job = make_job(tmp_path / "work", compute=compute, teller=Teller(events.append))
    run_segments(job)
    assert result(tmp_path / "work") == truth()
    assert now(job.journal) == Rung(chunk_frames=4, tile_px=64)
    assert [e["tile_px"] for e in events if e["event"] == "rung"] == [None, 128, 64]
    assert any("out of memory" in e["message"] for e in events if e["event"] == "warning")
    assert max(len(c.halo) for c in compute.chunks) == 4 + 2 * 2


def told_progress(events: list[dict[str, Any]]) -> list[float]:
    return [e["done"] for e in events if e["event"] == "progress"]


@dataclass
class Watched(Compute):
    """Tells three shares of every chunk."""

    def __call__(self, given: Chunk) -> Tensor:
        for share in (0.0, 0.5, 1.0):
            given.on_share(share)
        return super().__call__(given)


def test_progress_moves_inside_a_chunk_and_ends_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.run.events.PROGRESS_INTERVAL_S", 0.0)
    monkeypatch.setattr("limpid.run.executor.RATE_AFTER_S", 0.0)
    events, rates = list[dict[str, Any]](), list[tuple[float, float]]()
    changes = {"teller": Teller(events.append), "on_rate": lambda rate, left_s: rates.append((rate, left_s))}
    compute = Watched()
    run_segments(make_job(tmp_path / "work", compute=compute, chunk_frames=10, **changes))
    done = told_progress(events)
    assert done == sorted(done) and done[-1] == FRAMES
    assert {chunk.core.start + len(chunk.core) / 2 for chunk in compute.chunks} <= set(done)
    assert len(rates) == 1 and rates[0][0] > 0


def test_a_run_that_goes_on_counts_only_what_is_of_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.run.events.PROGRESS_INTERVAL_S", 0.0)
    job = make_job(tmp_path / "work", compute=Watched(), chunk_frames=25)
    run_segments(job)
    journal = Journal.load(tmp_path / "work")
    assert journal is not None
    (tmp_path / "work" / journal.finished[1].file).unlink()
    journal.drop_damaged()
    events: list[dict[str, Any]] = []
    run_segments(replace(job, journal=journal, teller=Teller(events.append)))
    lost = len(journal.plan.segments[1].core)
    assert set(told_progress(events)) == {FRAMES - lost, FRAMES - lost / 2, FRAMES}


def test_no_rung_left_is_a_resource_error(tmp_path: Path) -> None:
    def never(chunk: Segment, rung: Rung) -> None:
        raise torch.OutOfMemoryError("no")

    with pytest.raises(ResourceError, match="nothing smaller"):
        run_segments(make_job(tmp_path / "work", compute=Compute(before=never)))


def test_methods_that_are_not_local_get_whole_segments_and_their_carry(tmp_path: Path) -> None:
    compute = Compute()
    job = make_job(tmp_path / "work", local=False, compute=compute, carries=True)
    run_segments(job)
    assert [c.core for c in compute.chunks] == [s.core for s in job.plan.segments]
    from safetensors.torch import load_file

    counts = [
        float(load_file(job.journal.folder / f"{s.index:06d}.carry.safetensors")["count"]) for s in job.plan.segments
    ]
    assert counts == [10, 20, 25, 1, 10, 20, 30, 34]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_keeps_finished_segments_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    def signalled(chunk: Segment, rung: Rung) -> None:
        if chunk.core.start >= 30:
            os.kill(os.getpid(), number)
            for _ in range(10**6):
                pass
            raise AssertionError("the computation was not cancelled")

    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted, match="same command"), stopping_cleanly() as interrupts:
        run_segments(make_job(tmp_path / "work", compute=Compute(before=signalled), interrupts=interrupts))
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    run_segments(make_job(tmp_path / "work"))
    assert result(tmp_path / "work") == truth()


def test_a_signal_outside_of_computing_waits_for_a_safe_place() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.requested  # and nothing was raised
        with pytest.raises(KeyboardInterrupt), interrupts.interruptible():
            raise AssertionError("not reached")


def test_other_threads_install_no_handlers() -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with Interrupts() as interrupts:
                interrupts.check()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors


def test_a_callback_that_raises_stops_the_run_cleanly(tmp_path: Path) -> None:
    def refuse(event: dict[str, Any]) -> None:
        if event["event"] == "progress" and event["done"] > 20:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        run_segments(make_job(tmp_path / "work", teller=Teller(refuse)))
    run_segments(make_job(tmp_path / "work"))
    assert result(tmp_path / "work") == truth()


def test_progress_counts_frames_and_ends_at_all_of_them(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    run_segments(make_job(tmp_path / "work", teller=Teller(events.append)))
    done = [e["done"] for e in events if e["event"] == "progress"]
    assert done == sorted(done)
    assert done[-1] == FRAMES
    assert sorted(e["index"] for e in events if e["event"] == "segment") == list(range(8))


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run_segments(make_job(tmp_path / name))
    files = [sorted(p for p in (tmp_path / n).iterdir() if p.suffix == ".txt") for n in ("a", "b")]
    assert [sha256_of(p) for p in files[0]] == [sha256_of(p) for p in files[1]]


def test_a_segment_that_is_lost_is_made_again(tmp_path: Path) -> None:
    run_segments(make_job(tmp_path / "work"))
    (tmp_path / "work" / "000002.txt").write_text("damaged")
    job = make_job(tmp_path / "work")
    assert job.journal.drop_damaged() == [2]
    compute = Compute()
    run_segments(replace(job, compute=compute))
    assert all(overlap(c.core, job.plan.segments[2].core) for c in compute.chunks)
    assert result(tmp_path / "work") == truth()
