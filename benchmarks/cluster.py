"""What workers cost and bring: speed with one and two, and what a head can keep busy.

    python benchmarks/cluster.py speed             # on two quiet processor cores
    python benchmarks/cluster.py scale             # 64 workers that sleep, in threads; 1,000 shots
    python benchmarks/cluster.py commits           # the same without sleep: what the head does in a minute

`scale` and `commits` drive the head of a run with workers in threads of this process, because 64 processes with PyTorch
do not fit on a small machine; all else, the frames' way included, is that of a run. Each ends with exit code 1 when it
misses its bar. Memory against length: `benchmarks/cluster_length.py`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cluster_nodes as land
from memory import make_clip

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))

SPEEDUP_BAR, OVERHEAD_BAR, BUSY_BAR, COMMITS_BAR = 1.85, 1.05, 0.95, 10_000

# --------------------------------------------------------------------------------------------------------------- speed


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Seconds of a command."""

    whole_s: float
    run_s: float
    """From the first frame asked for to the last segment that is durable: without starting Ray or joining."""


def timed(folder: Path, clip: Path, words: list[str]) -> Timed:
    output = folder / "out.mkv"
    command = [sys.executable, "-m", "limpid", "upscale", str(clip), str(output), "--json", "--threads", "1", *words]
    began = time.monotonic()
    with subprocess.Popen(command, env=land.surroundings(folder), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        start = end = began
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "stage" and event["stage"] == "run":
                start = time.monotonic()
            if event["event"] == "segment":
                end = time.monotonic()
    if process.returncode != 0:
        raise SystemExit(f"{words}: exit code {process.returncode}")
    output.unlink()
    return Timed(whole_s=time.monotonic() - began, run_s=end - start)


def speed(options: argparse.Namespace) -> bool:
    """In turns, so that what else the machine does falls on all alike; medians."""
    ways = {"no Ray": [], "1 worker": ["--workers", "1"], "2 workers": ["--workers", "2"]}
    found: dict[str, list[Timed]] = {name: [] for name in ways}
    with land.short_folder() as folder:
        clip = folder / "clip.mkv"
        make_clip(clip, options.frames, 320, 180)
        for turn in range(options.turns):
            for name, words in ways.items():
                found[name].append(timed(folder, clip, [*words, "--segment-frames", str(options.segment_frames)]))
                last = found[name][-1]
                print(f"turn {turn}: {name:9s} {last.whole_s:6.1f} s in all, {last.run_s:6.1f} s of work", flush=True)
    whole = {name: statistics.median(t.whole_s for t in times) for name, times in found.items()}
    work = {name: statistics.median(t.run_s for t in times) for name, times in found.items()}
    speedup, overhead = work["1 worker"] / work["2 workers"], work["1 worker"] / work["no Ray"]
    print(f"two workers against one: {speedup:.2f}x at work, {whole['1 worker'] / whole['2 workers']:.2f}x in all")
    print(f"one worker against no Ray: {overhead:.3f}x at work, {whole['1 worker'] / whole['no Ray']:.3f}x in all")
    return speedup >= SPEEDUP_BAR and overhead <= OVERHEAD_BAR


# --------------------------------------------------------------------------------------------------------------- scale


@dataclass
class Asleep:
    """How long workers slept, by name, and when the last one woke."""

    seconds: float
    slept: dict[str, float] = field(default_factory=dict)

    def __call__(self, name: str, chunk: Any) -> None:
        if self.seconds:
            began = time.monotonic()
            time.sleep(self.seconds)
            self.slept[name] = self.slept.get(name, 0.0) + time.monotonic() - began


def drive(
    folder: Path, shots: int, segments: int, workers: int, before: Callable[[str, Any], None]
) -> tuple[float, int]:
    """Seconds and the largest number of bytes that Python held, of a run of shots whose segments hand something on."""
    import crews
    import numpy as np

    from limpid.cluster.ahead import Ahead
    from limpid.cluster.cutting import UnitMaker
    from limpid.cluster.head import RunHead
    from limpid.cluster.orders import FilmOrder
    from limpid.cluster.placement import Board, lines_of
    from limpid.cluster.receive import Receiver
    from limpid.cluster.roster import Roster
    from limpid.cuts.blended import Blended
    from limpid.durable.interrupt import Interrupts
    from limpid.plan.segments import Cutting, Plan, Rung, plan_segments
    from limpid.restoration.times import Times
    from limpid.run.events import Meter, Teller
    from limpid.run.journal import Journal
    from limpid.settings import Settings
    from limpid.types import OutputSpec, VideoFrame, Window

    length, size = 4, segments * 4
    frames = Window(start=0, stop=shots * size)
    plan = Plan(
        segments=plan_segments(
            [(i * size, (i + 1) * size) for i in range(shots)],
            frames,
            Cutting(frames=length, longest_frames=length, halo_frames=2),
        ),
        frames=frames,
        local=False,
        halo_frames=2,
        grid_frames=1,
        rung=Rung(chunk_frames=length),
        threads=1,
        peak_bytes=1,
    )
    journal, teller, times, cuts = Journal.create(folder, {}, plan, {}), Teller(), Times(), Blended()
    crew = crews.ThreadCrew(folder / "workers", cuts, count=workers, carries=True, before=before)
    pts = array("q", range(len(frames)))
    spec: Any = OutputSpec(codec="h264", container="mp4", width=6, height=4, fps=25, time_base=1)  # type: ignore[arg-type]
    film = FilmOrder(
        settings=Settings(),
        plan=plan,
        clip_size=(3, 2),
        size=(6, 4),
        alpha=False,
        depth=8,
        offload="none",
        spec=spec,
        suffix=".txt",
        group_frames=8,
        pts=pts,
    )

    def read(window: Window) -> list[VideoFrame]:
        return [VideoFrame(i, np.full((2, 3, 3), i % 256, np.uint16)) for i in range(window.start, window.stop)]

    lines, receiver = lines_of(plan, cuts, carries=True), Receiver(journal)
    roster = Roster(crew=crew, settings=Settings(), threads=1)
    while len(roster.present) < workers:
        roster.fill()
        for member in roster.coming:
            member.call.result()
            roster.heard(member)
    began = time.monotonic()
    with Ahead(read, 8, times) as ahead:
        RunHead(
            roster=roster,
            board=Board(lines),
            maker=UnitMaker(journal=journal, lines=lines, cuts=cuts, rungs=(), free_cuts=False, teller=teller),
            receiver=receiver,
            ahead=ahead,
            film=film,
            teller=teller,
            meter=Meter(teller, "run", total=len(frames)),
            interrupts=Interrupts(),
            times=times,
        ).run()
    took = time.monotonic() - began
    receiver.close()
    crew.close()
    journal.close()
    print({name: round(value, 2) for name, value in times.seconds.items()})
    return took, len(journal.finished)


def scale(options: argparse.Namespace) -> bool:
    asleep = Asleep(options.sleep)
    with tempfile.TemporaryDirectory(prefix="limpid-scale-") as folder:
        took, made = drive(Path(folder), options.shots, options.segments, options.workers, asleep)
    busy = sum(asleep.slept.values()) / (took * options.workers)
    most = options.shots / options.workers / -(-options.shots // options.workers)
    print(f"{options.shots} shots of {options.segments} segments, {options.workers} workers:", end=" ")
    print(f"{took:.1f} s, {busy:.1%} busy")
    print(
        f"not more than {most:.1%} could be with shots of one length; {made / took * 60:.0f} commits a minute; ", end=""
    )
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB, workers included")
    return busy >= BUSY_BAR


def commits(options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="limpid-scale-", dir=options.folder) as folder:
        took, made = drive(Path(folder), options.shots, options.segments, options.workers, Asleep(0))
    rate = made / took * 60
    print(f"{made} segments in {took:.1f} s: {rate:.0f} commits a minute")
    return rate >= COMMITS_BAR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    for name, work, numbers in (
        ("speed", speed, {"frames": 480, "turns": 2, "segment-frames": 16}),
        ("scale", scale, {"shots": 1000, "segments": 4, "workers": 64}),
        ("commits", commits, {"shots": 1000, "segments": 4, "workers": 8}),
    ):
        kind = kinds.add_parser(name)
        kind.set_defaults(work=work)
        for option, value in numbers.items():
            kind.add_argument(f"--{option}", type=int, default=value)
        if name == "scale":
            kind.add_argument("--sleep", type=float, default=0.5, help="seconds of a segment")
        if name == "commits":
            kind.add_argument("--folder", help="on the disk that is to be measured")
    options = parser.parse_args()
    sys.exit(not options.work(options))


if __name__ == "__main__":
    main()
