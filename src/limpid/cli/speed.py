"""How fast this machine convolves: the yardstick of ``limpid doctor`` and of the benchmarks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

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

    def once() -> None:
        with torch.no_grad():
            layer(frames)
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)

    return FLOP / _best_seconds(once, seconds) / 1e9


def ncnn_gflops(threads: int, *, seconds: float = 0.3) -> float:
    """Best rate of the same convolution in ncnn, on the processor; Winograd's arithmetic counts as if it were plain."""
    import numpy as np

    from limpid.runtimes.network import NcnnNetwork
    from limpid.runtimes.writing import NcnnGraph

    graph = NcnnGraph()
    graph.input("frame")
    random = np.random.default_rng(0)
    weight = random.random((CHANNELS, CHANNELS, 3, 3), np.float32)
    graph.convolution("frame", "out", weight, np.zeros(CHANNELS, np.float32))
    network = NcnnNetwork.of_graph(graph, threads=threads)
    frame = random.random((CHANNELS, HEIGHT, WIDTH), np.float32)
    given = {"frame": network.mat(frame)}
    return FLOP / _best_seconds(lambda: network.run(given, ("out",), packed=True), seconds) / 1e9


def _best_seconds(work: Callable[[], object], seconds: float) -> float:
    work()
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end or best == math.inf:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best
