"""Speed of `limpid upscale` end to end, and how much of the machine's convolution peak the network reaches.

    python benchmarks/speed.py [--video FILE] [--dtype auto] [--runs 3]
    python benchmarks/speed.py --sizes 320x180 1280x720 [--method small]    # what a pixel of large inputs costs

Prints medians of several runs: the peak (a 3x3 convolution of 64 channels on tiny's own canvas), the networks of
`small` and `tiny` alone, the parts around tiny's, and the whole command on a 320x180 clip: with default settings, which
is `small`, and with `tiny`.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import limpid
from limpid.flow.aligned import with_neighbours
from limpid.methods import find_method
from limpid.plan.allocator import keep_freed_memory
from limpid.plan.device import choose_machine
from limpid.restoration.chunk import Chunk
from limpid.restoration.restorer import Restorer
from limpid.restoration.sizes import held_frames, sizes_of
from limpid.settings import Settings
from limpid.types import Segment, VideoFrame, Window

EXAMPLE = Path(__file__).parents[1] / "examples" / "example.mp4"
HEIGHT, WIDTH, FRAMES = 180, 320, 4


def median_seconds(work: Callable[[], object], runs: int) -> float:
    """Median over ``runs`` after one run to warm up."""
    work()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def peak_flops(channels: int, dtype: torch.dtype, runs: int) -> float:
    """Multiply-adds times two per second of a plain channels_last convolution."""
    convolution = torch.nn.Conv2d(channels, channels, 3, padding=1).to(dtype)
    convolution = convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(FRAMES, channels, HEIGHT // 2, WIDTH // 2).to(dtype).contiguous(memory_format=torch.channels_last)
    return 18 * channels**2 * FRAMES * HEIGHT * WIDTH / 4 / median_seconds(lambda: convolution(x), runs)


def network_flops(network: torch.nn.Module) -> float:
    """Floating point operations of all convolutions for one LR frame of 320x180."""
    weights = sum(m.weight.numel() for m in network.modules() if isinstance(m, torch.nn.Conv2d))
    return 2.0 * weights * HEIGHT * WIDTH / 4


def pixel_costs(name: str, sizes: list[str], dtype: str, runs: int) -> None:
    """Processor time per pixel of the input, by size, with the tiles and chunks that a plan chooses; sizes in turns.

    A few frames are computed. What a chunk computes of its neighbours in time is counted by the plan's lengths.
    """
    ready = {size: _ready(name, *map(int, size.split("x")), dtype) for size in sizes}
    costs: dict[str, list[float]] = {size: [] for size in sizes}
    for _ in range(runs):
        for size, (restorer, chunk, halo) in ready.items():
            began = time.process_time()
            restorer(dataclasses.replace(chunk))
            frames, planned = len(chunk.core), chunk.rung.chunk_frames
            seconds = (time.process_time() - began) / frames * (planned + 2 * halo) / planned
            costs[size].append(seconds / (chunk.size[0] * chunk.size[1]))
    base = statistics.median(costs[sizes[0]])
    for size, found in costs.items():
        rung, cost = ready[size][1].rung, statistics.median(found)
        cut = f"{rung.chunk_frames} frames at once, {f'tiles of {rung.tile_px} px' if rung.tile_px else 'no tiles'}"
        print(f"{size:>10}: {cost * 1e6:.3f} us of processor time per pixel and frame, {cost / base:.2f}x; {cut}")


def _ready(name: str, width: int, height: int, dtype: str) -> tuple[Restorer, Chunk, int]:
    """A restorer, a chunk of two frames with the rung of a long film, and the frames of a halo."""
    method, settings, machine = find_method(name), Settings(), choose_machine("cpu", dtype)
    if method.cuts.reuses_freed_memory:  # as a run does
        keep_freed_memory()
    restorer = Restorer(method=method, settings=settings, machine=machine, width=4 * width, height=4 * height, depth=8)
    held = held_frames(method, settings, 3 * width * height, (height, width), restorer.format)
    size: dict[str, Any] = {"width": width, "height": height, "fps": Fraction(25)}
    sizes = sizes_of(method, settings, machine, **size, budget=machine.budget(), held=held)
    window = Window(start=0, stop=2)
    segment = Segment(index=0, shot=0, shot_start=0, shot_stop=2, core=window, halo=window)
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    pixels = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    frames = [VideoFrame(index, pixels) for index in range(2)]
    return restorer, Chunk(frames=frames, segment=segment, rung=sizes.rung(1000)[0]), sizes.cutting.halo_frames


def end_to_end(video: Path, dtype: str, runs: int, **how: Any) -> float:
    """Median of frames per second of the whole command."""
    speeds = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            report = limpid.upscale(video, Path(folder) / "out.mp4", dtype=dtype, device="cpu", **how)
            speeds.append(report.frames / (time.perf_counter() - began))
    return statistics.median(speeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, default=EXAMPLE)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--method", default="small", choices=("small", "tiny"), help="of --sizes")
    parser.add_argument("--sizes", nargs="+", help="measure only what a pixel costs at these sizes")
    args = parser.parse_args()
    if args.sizes:
        pixel_costs(args.method, args.sizes, args.dtype, args.runs)
        return
    machine = choose_machine("cpu", args.dtype)
    torch.set_num_threads(machine.threads)
    print(f"{machine.model}, {machine.threads} threads, {machine.dtype}")
    method = find_method("tiny", Settings(denoise=0))
    prior, cleaned = method.load(machine.placement()), find_method("tiny").load(machine.placement())
    sharper = find_method("small")
    small: Any = sharper.load(machine.placement())
    (step,) = method.make_schedule(1)
    with torch.no_grad():
        peak = peak_flops(64, machine.torch_dtype, args.runs)
        lr = torch.rand(FRAMES, 3, HEIGHT, WIDTH)
        condition = prior.condition(lr)
        z = torch.randn(1, prior.latent_channels, FRAMES, *prior.latent_size(HEIGHT, WIDTH)) * step.sigma
        direct = median_seconds(lambda: list(prior.direct(step)(iter(lr))), args.runs) / FRAMES  # type: ignore[attr-defined]
        denoise = median_seconds(lambda: prior.denoise(z, step, condition), args.runs) / FRAMES
        decode = median_seconds(lambda: prior.decode(z, condition), args.runs) / FRAMES
        told = with_neighbours(lr, sharper.cuts.neighbours)
        moving = median_seconds(lambda: with_neighbours(lr, sharper.cuts.neighbours), args.runs) / FRAMES
        other = median_seconds(lambda: list(small.direct(step)(iter(told))), args.runs) / FRAMES
        whole = median_seconds(lambda: list(cleaned.direct(step)(iter(lr))), args.runs) / FRAMES  # type: ignore[attr-defined]
    flops = network_flops(prior.network)  # type: ignore[attr-defined]
    print(f"convolution peak      {peak / 1e12:6.3f} TFLOP/s")
    print(f"network               {flops / denoise / 1e12:6.3f} TFLOP/s = {flops / denoise / peak:.0%} of the peak")
    print(f"network per frame     {denoise * 1e3:6.1f} ms ({flops / 1e9:.1f} GFLOP)")
    print(f"without latents       {direct * 1e3:6.1f} ms, {flops / direct / peak:.0%} of the peak")
    print(f"with the cleaner      {whole * 1e3:6.1f} ms")
    print(f"decoder per frame     {decode * 1e3:6.1f} ms")
    print(f"small per frame       {other * 1e3:6.1f} ms, and {moving * 1e3:.1f} ms to move its neighbours")
    ways: dict[str, dict[str, Any]] = {
        "": {},
        "tiny": {"method": "tiny"},
        "tiny, denoise 0": {"method": "tiny", "denoise": 0.0},
    }
    for name, how in ways.items():
        speed = end_to_end(args.video, args.dtype, args.runs, **how)
        print(f"limpid upscale {name:16s} {speed:6.2f} frames/s end to end (scan, encode, mux included)")


if __name__ == "__main__":
    main()
