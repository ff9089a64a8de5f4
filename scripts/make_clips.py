"""Make pre-degraded training clips from a folder with ``photos/`` and ``clips/``: HR/LR pairs as uint8 arrays.

    python scripts/make_clips.py DATA OUT --count 2400

Each ``OUT/part_*.npz`` holds ``hr`` (n t 256 256 3) and ``lr`` (n t 64 64 3). ``--keep-out`` names clips and photos to
leave out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import cv2
import numpy as np

from limpid.degrade import CameraPath, Degradation, degrade, photo_clip

SIZE, FRAMES, PART = 256, 7, 100


def random_degradation(random: np.random.Generator) -> Degradation:
    return Degradation(
        blur_sigma=float(random.uniform(0.4, 2.0)),
        noise_sigma=float(random.choice([0.0, random.uniform(0, 12), random.uniform(2, 8)])),
        jpeg_quality=int(random.integers(40, 95)) if random.random() < 0.2 else None,
        crf=int(random.integers(18, 33)) if random.random() < 0.85 else None,
    )


def from_photo(path: Path, random: np.random.Generator) -> np.ndarray:
    photo = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    reduce = float(random.uniform(0.5, 1.0))
    photo = cv2.resize(photo, None, fx=reduce, fy=reduce, interpolation=cv2.INTER_AREA)
    h, w = photo.shape[:2]
    speed = float(random.choice([0.0, random.uniform(0, 2), random.uniform(0, 10)]))
    heading = random.uniform(0, 2 * np.pi)
    camera = CameraPath(
        center=(
            float(random.uniform(SIZE / 2, w - SIZE / 2)),
            float(random.uniform(SIZE / 2, max(h - SIZE / 2, SIZE / 2 + 1))),
        ),
        velocity=(speed * float(np.cos(heading)), speed * float(np.sin(heading))),
        zoom_rate=float(random.choice([1.0, random.uniform(0.99, 1.01)])),
        angle=float(random.uniform(-0.3, 0.3)),
        turn_rate=float(random.choice([0.0, random.uniform(-0.008, 0.008)])),
        shake=float(random.choice([0.0, random.uniform(0, 0.8)])),
    )
    return photo_clip(photo, camera, num_frames=FRAMES, width=SIZE, height=SIZE, seed=int(random.integers(1 << 31)))


class ClipSource:
    """Frames of one video, decoded once at half or full size and kept (a few hundred megabytes for all)."""

    def __init__(self, path: Path) -> None:
        with av.open(str(path)) as container:
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)][::1]
        shrink = max(1.0, frames[0].shape[1] / 720)
        size = (round(frames[0].shape[1] / shrink), round(frames[0].shape[0] / shrink))
        self.frames = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames]

    def sample(self, random: np.random.Generator) -> np.ndarray:
        h, w = self.frames[0].shape[:2]
        start = int(random.integers(0, len(self.frames) - FRAMES + 1))
        y, x = int(random.integers(0, h - SIZE + 1)), int(random.integers(0, w - SIZE + 1))
        return np.stack([f[y : y + SIZE, x : x + SIZE] for f in self.frames[start : start + FRAMES]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep-out", nargs="*", default=[])
    args = parser.parse_args()
    cv2.setNumThreads(1)
    random = np.random.default_rng(args.seed)
    photos = [p for p in sorted((args.data / "photos").glob("*")) if p.stem not in args.keep_out]
    clips = [ClipSource(p) for p in sorted((args.data / "clips").glob("*")) if p.stem not in args.keep_out]
    args.out.mkdir(parents=True, exist_ok=True)
    for part in range(args.count // PART):
        hr = np.empty((PART, FRAMES, SIZE, SIZE, 3), np.uint8)
        lr = np.empty((PART, FRAMES, SIZE // 4, SIZE // 4, 3), np.uint8)
        for i in range(PART):
            if random.random() < 0.6:
                hr[i] = from_photo(photos[int(random.integers(len(photos)))], random)
            else:
                hr[i] = clips[int(random.integers(len(clips)))].sample(random)
            lr[i] = degrade(hr[i], random_degradation(random), seed=int(random.integers(1 << 31)))
        np.savez(args.out / f"part_{args.seed}_{part:03d}.npz", hr=hr, lr=lr)
        print(f"part {part + 1} of {args.count // PART}", flush=True)


if __name__ == "__main__":
    main()
