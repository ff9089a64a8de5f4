"""``make demo``: upscale the clip beside this file and draw a before/after picture.

    python examples/demo.py [--input CLIP] [--output FOLDER] [--frame N]

It is also the shortest complete use of the API: `limpid.upscale`, and reading frames back with `limpid.video`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

import limpid
from limpid.cli.progress import make_reporter
from limpid.types import Window
from limpid.video import FrameReader, probe, scan

CROP = (360, 640)
"""Height and width of what each half of the picture shows, in pixels of the result."""
GAP = 4


def main() -> None:
    options = read_options()
    options.output.mkdir(parents=True, exist_ok=True)
    result, picture = options.output / f"{options.input.stem}_x4.mp4", options.output / "before_after.png"

    reporter = make_reporter(as_json=False, quiet=False)
    try:
        report = limpid.upscale(options.input, result, overwrite=True, on_event=reporter)
    finally:
        reporter.close()
    write_image(picture, before_after(read_frame(options.input, options.frame), read_frame(result, options.frame)))

    print(f"input         {options.input}")
    print(f"result        {report.output} ({report.frames} frames in {report.seconds:.1f} s)")
    print(f"before/after  {picture}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Upscale the example clip and draw a before/after picture.")
    parser.add_argument("--input", type=Path, default=Path(__file__).with_name("example.mp4"))
    parser.add_argument("--output", type=Path, default=Path("build/demo"))
    parser.add_argument("--frame", type=int, default=24, help="which frame the picture shows")
    return parser.parse_args()


def read_frame(path: Path, number: int) -> np.ndarray:
    """One frame as uint8 ``h w 3`` RGB."""
    clip = probe(path)
    timeline = scan(clip, detect_cuts=False)
    with FrameReader(clip, timeline) as reader:
        pixels: np.ndarray = reader.read(Window(start=number, stop=number + 1))[0].pixels
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def before_after(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The middle of both side by side: the input enlarged with bicubic interpolation, and the result."""
    height, width = after.shape[:2]
    enlarged = cv2.resize(before, (width, height), interpolation=cv2.INTER_CUBIC)
    halves = [label(middle(image), text) for image, text in ((enlarged, "before: bicubic"), (after, "after: Limpid"))]
    gap = np.full((halves[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([halves[0], gap, halves[1]], axis=1)


def middle(image: np.ndarray) -> np.ndarray:
    height, width = min(CROP[0], image.shape[0]), min(CROP[1], image.shape[1])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width, :3])


def label(image: np.ndarray, text: str) -> np.ndarray:
    """Text with a dark rim, so that it can be read on anything."""
    for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(
            image, text, (10, image.shape[0] - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, thickness, cv2.LINE_AA
        )
    return image


def write_image(path: Path, image: np.ndarray) -> None:
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{path} cannot be written")


if __name__ == "__main__":
    main()
