"""The five pictures of the README: parts of frames, enlarged by bicubic interpolation and by Limpid.

    python scripts/readme_pictures.py CLIPS docs/images [--weights FILE]

CLIPS is a folder with the clips named below. Three are sharp and are degraded first, as `benchmarks/quality.py` does;
two are taken as they are, one of them strongly compressed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import limpid
from limpid.degrade import Degradation, degrade
from limpid.video.roundtrip import decode_frames

FRAMES, SHOWN = 9, 4
WIDTH, HEIGHT = 400, 260
"""Of each half, in pixels of the result."""


@dataclass(frozen=True)
class Part:
    """A part of frame ``first + SHOWN``; ``left`` and ``top`` in pixels of the result."""

    name: str
    clip: str
    first: int
    left: int
    top: int
    sharp: bool
    """Whether the clip is sharp, and is degraded first."""


PARTS = (
    Part("street", "hr_openh264_street_1920x1080.264", 0, 1240, 500, True),
    Part("bunny", "hr_bigbuckbunny_1280x720.mp4", 60, 250, 30, True),
    Part("film", "hr_tearsofsteel_long_800x332.webm", 700, 60, 60, True),
    Part("telescope", "lr_nasa_320x180.mp4", 40, 560, 60, False),
    Part("park", "ladder_seeking_384x288_375k.mp4", 16, 760, 330, False),
)


def lr_frames(folder: Path, part: Part) -> np.ndarray:
    """RGB uint8 ``t h w 3``."""
    frames = np.stack(decode_frames(folder / part.clip, part.first, FRAMES))
    if not part.sharp:
        return frames
    frames = frames[:, : frames.shape[1] // 4 * 4, : frames.shape[2] // 4 * 4]
    return degrade(frames, Degradation(), seed=0)


def picture(lr: np.ndarray, part: Part, weights: str | None) -> np.ndarray:
    """Both halves side by side, with a white line between."""
    options = {} if weights is None else {"weights": weights}
    restored = list(limpid.restore(iter(lr), fps=25, **options))[SHOWN]
    size = (restored.shape[1], restored.shape[0])
    plain = cv2.resize(lr[SHOWN], size, interpolation=cv2.INTER_CUBIC)
    rows, columns = slice(part.top, part.top + HEIGHT), slice(part.left, part.left + WIDTH)
    line = np.full((HEIGHT, 4, 3), 255, np.uint8)
    return np.concatenate([plain[rows, columns], line, restored[rows, columns]], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        made = picture(lr_frames(args.clips, part), part, args.weights)
        path = args.out / f"{part.name}.jpg"
        cv2.imwrite(str(path), made[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        print(path, made.shape, flush=True)


if __name__ == "__main__":
    main()
