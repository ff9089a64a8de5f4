"""Peak memory of large pictures against what the plan states.

    python benchmarks/large_pictures.py --sizes 180p 1080p --scales 1 2 4 --frames 2

Makes short clips of moving texture, upscales each in a process of its own with the default method, and prints one row
per run: what the process took above what it takes to load everything, what the plan stated, and their ratio.
``--dry-run`` makes the plan and the trial only. ``--plain-network`` repeats pixels instead of asking the network, which
takes minutes off large pictures: what is read, finished, kept and encoded is then measured, and the work of the network
is not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from limpid.types import OutputSpec
from limpid.video import SegmentWriter

SIZES = {"180p": (320, 180), "1080p": (1920, 1080), "4k": (3840, 2160), "8k": (7680, 4320)}
MOST_SIDE = 16384
MIB = 1 << 20
RUN = """
import json, resource, sys, time
import torch, limpid
import limpid.api, limpid.run.session
from limpid.methods import find_method
from limpid.restoration.restorer import Restorer
from limpid.settings import Settings
from limpid.types import Placement
from limpid.video import FrameReader, SegmentWriter

source, target, scale, dry_run, plain = json.loads(sys.argv[1])
find_method(Settings().method, Settings()).load(Placement(device=torch.device("cpu"), dtype=torch.float32))
torch.nn.functional.conv2d(torch.rand(1, 8, 64, 64), torch.rand(8, 8, 3, 3))
unit = 1 if sys.platform == "darwin" else 1024
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def repeat(self, chunk, color):
    lr = chunk.lr()[chunk.core.start : chunk.core.stop]
    return lr.repeat_interleave(4, dim=-1).repeat_interleave(4, dim=-2)


if plain:
    Restorer._sample = repeat
started = time.perf_counter()
report = limpid.upscale(source, target, scale=scale, dry_run=dry_run, detect_cuts=False)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
plan = {name: report.plan[name] for name in ("peak_bytes", "rung")}
print(json.dumps({"base": base, "peak": peak, "seconds": time.perf_counter() - started, **plan}))
"""


def make_clip(path: Path, size: tuple[int, int], frames: int) -> None:
    """A smooth random texture that moves."""
    width, height = size
    rate = {"fps": Fraction(30), "time_base": Fraction(1, 30), "preset": "ultrafast", "crf": 30}
    spec = OutputSpec(codec="h264", container="mkv", width=width, height=height, **rate)
    coarse = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    texture = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    with SegmentWriter(path, spec) as writer:
        for i in range(frames):
            writer.write(torch.from_numpy(np.roll(texture, (i, 2 * i), (0, 1)))[None], [i])


def measure(clip: Path, scale: float, *, dry_run: bool, plain: bool) -> str:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        task = json.dumps([str(clip), str(Path(folder) / "out.mp4"), scale, dry_run, plain])
        done = subprocess.run([sys.executable, "-c", RUN, task], stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    above, planned, rung = found["peak"] - found["base"], found["peak_bytes"], found["rung"]
    return (
        f"| {clip.stem} | {scale:g} | {rung['chunk_frames']} | {rung['tile_px']} | {found['peak'] // MIB} | "
        f"{above // MIB} | {planned // MIB} | {above / planned:.2f} | {found['seconds']:.0f} s |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--scales", nargs="+", type=float, default=[1, 2, 4])
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--plain-network", action="store_true")
    options = parser.parse_args()
    print("| input | scale | chunk | tile | peak MiB | above base | planned | ratio | time |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.sizes:
            clip = Path(folder) / f"{name}.mkv"
            make_clip(clip, SIZES[name], options.frames)
            for scale in (s for s in options.scales if max(SIZES[name]) * s <= MOST_SIDE):
                row = measure(clip, scale, dry_run=options.dry_run, plain=options.plain_network)
                print(row, flush=True)


if __name__ == "__main__":
    main()
