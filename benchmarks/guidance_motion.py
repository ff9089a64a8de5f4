"""What the strength of motion guidance does, as in Fig. 7 of MGLD-VSR: warping error and detail over eta.

    python benchmarks/guidance_motion.py CLIP ... [--method mgld-vsr --weights DIR] [--steps 50] [--plot FILE.svg]

Each clip is cut to its middle and restored once for each eta, along one code path, with the same noise and cuts. WE is
MGLD's warping error and E*warp Lai's, both along the flow of the input; detail is what the input's grid cannot carry
(M2 and M3 together), coherent what of it moves with the picture. Prints one row per clip and eta.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limpid.method import Method, Prior
from limpid.methods import find_method
from limpid.metrics import Clips, measure
from limpid.restoration.chunk import Chunk
from limpid.restoration.loop import sample_segment
from limpid.settings import Settings
from limpid.train.curves import curves_svg
from limpid.types import Placement, Segment, Window
from limpid.video import FrameReader, probe, scan, to_tensor

ETAS = (0, 1, 3, 5, 10, 15, 20, 30)


def middle(path: Path, frames: int, edge: int) -> Tensor:
    """The first frames of a clip, ``t 3 h w`` in [0, 1], its middle ``edge`` x ``edge`` pixels at most."""
    clip = probe(path)
    timeline = scan(clip)
    window = Window(start=0, stop=min(frames, timeline.shots()[0][1]))
    with FrameReader(clip, timeline) as reader:
        lr = to_tensor(reader.read(window))
    top, left = ((size - min(size, edge)) // 2 for size in lr.shape[-2:])
    return lr[..., top : top + edge, left : left + edge]


def restored(method: Method, prior: Prior, lr: Tensor, steps: int) -> np.ndarray:
    """Frames ``t h w 3``, uint8."""
    whole = Window(start=0, stop=len(lr))
    segment = Segment(index=0, shot=0, shot_start=0, shot_stop=len(lr), core=whole, halo=whole)
    chunk = Chunk(frames=lr, segment=segment)
    return to_uint8(sample_segment(method, prior, chunk, steps=method.make_schedule(steps), seed=0))


def to_uint8(frames: Tensor) -> np.ndarray:
    return (frames.permute(0, 2, 3, 1) * 255).round().byte().numpy()


def measured(sr: np.ndarray, lr: Tensor) -> dict[str, float]:
    """Warping errors and detail of a result."""
    found = measure(("we-lr", "ewarp-lr", "m2-coherent", "m3-incoherent"), Clips(sr=sr, lr=to_uint8(lr)))
    we, ewarp, coherent, incoherent = (float(result.value) for result in found.values())
    return {"WE": we, "E*warp": ewarp, "detail": math.hypot(coherent, incoherent), "coherent detail": coherent}


def rows(method: Method, clips: Sequence[Path], args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    prior = method.load(Placement(device=torch.device("cpu"), dtype=torch.float32))
    for path in clips:
        lr = middle(path, args.frames, args.edge)
        for eta in args.etas:
            began = time.perf_counter()
            sr = restored(replace(method, strategy=replace(method.strategy, scale=float(eta))), prior, lr, args.steps)
            yield {"clip": path.stem, "eta": eta, "s": time.perf_counter() - began, **measured(sr, lr)}


def plot(found: Sequence[dict[str, Any]], title: str) -> str:
    """A panel for each measure with a curve for each clip, in parts of the value at eta 0."""
    first = {row["clip"]: row for row in found if row["eta"] == found[0]["eta"]}
    lines = [
        {
            "kind": "validation",
            "stage": title,
            "step": row["eta"],
            "metrics": {
                f"{name}: {row['clip'][:14]}": row[name] / first[row["clip"]][name]
                for name in ("WE", "E*warp", "detail", "coherent detail")
            },
        }
        for row in found
    ]
    return curves_svg(lines, axis="eta")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--method", default="tiny")
    parser.add_argument("--weights")
    parser.add_argument("--sampler", help="of mgld-vsr")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--etas", type=float, nargs="+", default=ETAS)
    parser.add_argument("--edge", type=int, default=64, help="of the part that is cut out, in input pixels")
    parser.add_argument("--plot", type=Path, help="an SVG file")
    args = parser.parse_args()
    given = {"weights": args.weights, "sampler": args.sampler}
    chosen = {name: value for name, value in given.items() if value is not None}
    method = find_method(args.method, Settings(method=args.method, consistency="motion", **chosen))
    found = []
    for row in rows(method, args.clips, args):
        found.append(row)
        print(", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
    if args.plot is not None:
        weights = ", random weights" if method.weights.random else ""
        args.plot.write_text(plot(found, f"{args.method}{weights}, {args.steps} steps"))


if __name__ == "__main__":
    main()
