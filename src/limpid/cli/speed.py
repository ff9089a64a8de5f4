"""How fast this machine convolves: the yardstick of ``limpid doctor`` and of the benchmarks."""

from __future__ import annotations

import time

CHANNELS = 64
HEIGHT, WIDTH = 180, 320
FRAMES = 1
FLOP = 2 * 9 * CHANNELS * CHANNELS * HEIGHT * WIDTH * FRAMES


def convolution_gflops(dtype: str, *, device: str = "cpu", seconds: float = 0.3) -> float:
    """Best rate of a 3x3 convolution, 64 channels, one frame of 320x180, channels last.

    Args:
        dtype: "float32", "bfloat16" or "float16".
        device: where to compute, as torch names it.
        seconds: how long to measure, after one warm-up.

    Returns:
        Billions of multiplications and additions per second.
    """
    import torch

    kind: torch.dtype = getattr(torch, dtype)
    layer = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).to(device, kind).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frames = torch.rand(FRAMES, CHANNELS, HEIGHT, WIDTH, device=device, dtype=kind)
    frames = frames.to(memory_format=torch.channels_last)

    def once() -> float:
        start = time.perf_counter()
        with torch.no_grad():
            layer(frames)
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    once()
    best, end = once(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, once())
    return FLOP / best / 1e9
