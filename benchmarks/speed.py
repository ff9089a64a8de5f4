"""Speed of `limpid upscale` end to end, and how much of the machine's convolution peak the network reaches.

    python benchmarks/speed.py [--video FILE] [--dtype auto] [--runs 3]

Prints medians of several runs: the peak (a 3x3 convolution of 64 channels on the network's own canvas), the network
alone, the parts around it, and the whole command with default settings on a 320x180 clip.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import limpid
from limpid.methods import find_method
from limpid.plan.device import choose_machine

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, default=EXAMPLE)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    machine = choose_machine("cpu", args.dtype)
    torch.set_num_threads(machine.threads)
    print(f"{machine.model}, {machine.threads} threads, {machine.dtype}")
    method = find_method("tiny")
    prior = method.load(machine.placement())
    (step,) = method.make_schedule(1)
    with torch.no_grad():
        peak = peak_flops(64, machine.torch_dtype, args.runs)
        condition = prior.condition(torch.rand(FRAMES, 3, HEIGHT, WIDTH))
        z = torch.randn(1, prior.latent_channels, FRAMES, *prior.latent_size(HEIGHT, WIDTH)) * step.sigma
        denoise = median_seconds(lambda: prior.denoise(z, step, condition), args.runs) / FRAMES
        decode = median_seconds(lambda: prior.decode(z, condition), args.runs) / FRAMES
    flops = network_flops(prior.network)  # type: ignore[attr-defined]
    print(f"convolution peak      {peak / 1e12:6.3f} TFLOP/s")
    print(f"network               {flops / denoise / 1e12:6.3f} TFLOP/s = {flops / denoise / peak:.0%} of the peak")
    print(f"network per frame     {denoise * 1e3:6.1f} ms ({flops / 1e9:.1f} GFLOP)")
    print(f"decoder per frame     {decode * 1e3:6.1f} ms")
    speeds = []
    for _ in range(args.runs):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            report = limpid.upscale(args.video, Path(folder) / "out.mp4", dtype=args.dtype, device="cpu")
            speeds.append(report.frames / (time.perf_counter() - began))
    print(f"limpid upscale        {statistics.median(speeds):6.2f} frames/s end to end (scan, encode, mux included)")
    print(f"of the peak           {statistics.median(speeds) * flops / peak:.0%} in network arithmetic, end to end")


if __name__ == "__main__":
    main()
