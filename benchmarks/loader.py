"""Speed of the training data: clips per second of the loader alone, and processor time per clip.

    python benchmarks/loader.py DATA --workers 2 --clips 48

DATA is a folder of photos and videos. Clips are 7 frames of 256x256, batches of 4. For each degradation the clips are
made on the fly, photos and videos apart; then the first ones are prepared and read again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2

from limpid.train.data import batches, open_clips
from limpid.train.data.shards import Preparation, prepare_pairs
from limpid.train.stage import ClipSpec

FRAMES, CROP, BATCH = 7, 256, 4
DEGRADATIONS = ("light", "simple", "complex")


@dataclass
class Seconds:
    total: float = 0.0
    clips: int = 0

    def add(self, seconds: float) -> None:
        self.total, self.clips = self.total + seconds, self.clips + 1

    def __str__(self) -> str:
        return f"{self.total / self.clips:.3f} ({self.clips} clips)" if self.clips else "-"


def spec_of(degradation: str) -> ClipSpec:
    return ClipSpec(frames=FRAMES, crop_px=CROP, degradation=degradation)


def processor_seconds(folder: Path, degradation: str, count: int) -> dict[str, Seconds]:
    """Per clip in this process, by kind of source; a first round has opened each video, as in a long training."""
    clips = open_clips(folder, spec_of(degradation), seed=0)
    seconds: dict[str, Seconds] = defaultdict(Seconds)
    for number in range(count):
        clips.sample(number)
    for number in range(count):
        began = time.process_time()
        sample = clips.sample(number)
        seconds["photo" if sample.flow_forward is not None else "other"].add(time.process_time() - began)
    return seconds


def clips_per_second(folder: Path, degradation: str, workers: int, count: int) -> float:
    """Of the loader alone, after its first batches."""
    clips = open_clips(folder, spec_of(degradation), seed=0)
    numbers = [tuple(range(first, first + BATCH)) for first in range(0, count + 2 * BATCH, BATCH)]
    source = batches(clips, numbers, workers=workers)
    for _ in range(2):
        next(source)
    began = time.perf_counter()
    made = sum(batch.size for batch in source)
    return made / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--keep-out", nargs="*", default=[])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for name in DEGRADATIONS:
        seconds = processor_seconds(options.data, name, options.clips)
        print(f"{name}: core-seconds per clip: photos {seconds['photo']}, videos {seconds['other']}", flush=True)
    rate = clips_per_second(options.data, "light", options.workers, options.clips)
    print(f"light, on the fly: {rate:.2f} clips/s with {options.workers} workers", flush=True)
    for store in ("png", "npy"):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "out")
            prepare_pairs(wanted(options, out, store), workers=options.workers, tell=lambda _: None)
            size = sum(path.stat().st_size for path in out.glob("*.tar")) / options.clips / 1e6
            seconds = processor_seconds(out, "light", options.clips)["other"]
            rate = clips_per_second(out, "light", options.workers, 8 * options.clips)
            says = f"{size:.2f} MB and {seconds} core-seconds per clip, {rate:.1f} clips/s"
            print(f"prepared, {store}: {says} with {options.workers} workers", flush=True)


def wanted(options: argparse.Namespace, out: Path, store: str) -> Preparation:
    return Preparation(
        data=options.data,
        out=out,
        count=options.clips,
        frames=FRAMES,
        crop=CROP,
        scale=4,
        strides=(1, 1),
        degradation="light",
        seed=0,
        keep_out=options.keep_out,
        shard=options.clips,
        store="png" if store == "png" else "npy",
    )


if __name__ == "__main__":
    main()
