"""Peak memory of a run against the length of the video: it must not grow.

    python benchmarks/memory.py --frames 60 600

Makes clips of noise in motion, upscales each in a process of its own with the same settings, and prints the largest
resident memory of each process. Ends with exit code 0 when the longest clip takes at most 1.1 times the first one's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import torch

from limpid.types import OutputSpec
from limpid.video import SegmentWriter

RUN = """
import resource, sys, limpid
report = limpid.upscale(sys.argv[1], sys.argv[2], detect_cuts=False)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak * (1 if sys.platform == "darwin" else 1024), report.frames, report.fps, report.plan["peak_bytes"])
"""
BAR = 1.1


def make_clip(path: Path, frames: int, width: int, height: int) -> None:
    """A drifting random texture: nothing in it is still, so nothing is cheap by chance."""
    spec = OutputSpec(
        codec="h264", container="mkv", width=width, height=height, fps=Fraction(30), time_base=Fraction(1, 30)
    )
    texture = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    with SegmentWriter(path, spec) as writer:
        for i in range(frames):
            writer.write(torch.roll(texture, (i % height, 2 * i % width), dims=(1, 2))[None], [i])


def peak_of(clip: Path) -> int:
    """Bytes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", RUN, str(clip), str(Path(folder) / "out.mp4")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    peak, frames, fps, planned = done.stdout.split()
    mib = [int(value) // 2**20 for value in (peak, planned)]
    print(f"{frames:>5} frames: peak {mib[0]} MiB, of that planned for a chunk {mib[1]}; {float(fps):.2f} frames/s")
    return int(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[60, 600])
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--height", type=int, default=90)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        peaks = []
        for frames in options.frames:
            clip = Path(folder) / f"{frames}.nut"
            make_clip(clip, frames, options.width, options.height)
            peaks.append(peak_of(clip))
    ratio = max(peaks) / peaks[0]
    print(f"longest over first: {ratio:.3f} (bar {BAR})")
    sys.exit(0 if ratio <= BAR else 1)


if __name__ == "__main__":
    main()
