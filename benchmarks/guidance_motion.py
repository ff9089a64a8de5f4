"""What motion guidance changes with the method that ships: warping error and coherent detail, as ratios in one run.

    python benchmarks/guidance_motion.py CLIP ... [--frames 12] [--steps 2 4 8] [--scales 10] [--edge 160]

Each clip is cut to its middle, restored without guidance and with it, both along the same code path, with the same
noise. E*warp is Lai's with flow of the input; detail is M2, what moves with the picture. Prints one row per clip,
number of steps and scale.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limpid.consistency.motion_guidance import MotionGuidance
from limpid.method import Method
from limpid.methods import find_method
from limpid.metrics import Clips, measure
from limpid.restoration.loop import sample_segment
from limpid.settings import Settings
from limpid.types import Placement, Segment, Window
from limpid.video import FrameReader, probe, scan, to_tensor

MEASURES = ("ewarp-lr", "m2-coherent", "m3-incoherent")


def middle(path: Path, frames: int, edge: int) -> Tensor:
    """The first frames of a clip, ``t 3 h w`` in [0, 1], its middle ``edge`` x ``edge`` pixels at most."""
    clip = probe(path)
    timeline = scan(clip)
    window = Window(start=0, stop=min(frames, timeline.shots()[0][1]))
    with FrameReader(clip, timeline) as reader:
        lr = to_tensor(reader.read(window))
    top, left = ((size - min(size, edge)) // 2 for size in lr.shape[-2:])
    return lr[..., top : top + edge, left : left + edge]


def restored(method: Method, lr: Tensor, steps: int) -> tuple[np.ndarray, float]:
    """Frames ``t h w 3``, uint8, and seconds."""
    whole = Window(start=0, stop=len(lr))
    segment = Segment(index=0, shot=0, shot_start=0, shot_stop=len(lr), core=whole, halo=whole)
    prior = method.load(Placement(device=torch.device("cpu"), dtype=torch.float32))
    began = time.perf_counter()
    frames = sample_segment(method, prior, lr, segment, steps=method.make_schedule(steps), seed=0)
    return to_uint8(frames), time.perf_counter() - began


def to_uint8(frames: Tensor) -> np.ndarray:
    return (frames.permute(0, 2, 3, 1) * 255).round().byte().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--steps", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--scales", type=float, nargs="+", default=[MotionGuidance.scale])
    parser.add_argument("--edge", type=int, default=160, help="of the part that is cut out, in input pixels")
    args = parser.parse_args()
    method = find_method("tiny", Settings(consistency="motion"))
    print("clip, steps, scale: " + ", ".join(MEASURES) + " with over without guidance; seconds with and without")
    for path in args.clips:
        lr = middle(path, args.frames, args.edge)
        small = to_uint8(lr)
        for steps in args.steps:
            plain, plain_s = restored(replace(method, strategy=replace(method.strategy, scale=0.0)), lr, steps)
            before = measure(MEASURES, Clips(sr=plain, lr=small))
            for scale in args.scales:
                guided, guided_s = restored(replace(method, strategy=replace(method.strategy, scale=scale)), lr, steps)
                after = measure(MEASURES, Clips(sr=guided, lr=small))
                ratios = [after[name].value / before[name].value for name in MEASURES]
                shown = ", ".join(f"{ratio:.3f}" for ratio in ratios)
                print(f"{path.stem}, {steps}, {scale:g}: {shown}; {guided_s:.1f} {plain_s:.1f}", flush=True)


if __name__ == "__main__":
    main()
