"""Small image networks in the files of ncnn, made for tests: what they do is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from limpid.runtimes.writing import NcnnGraph


def nearest(stem: Path, scale: int = 2, gain: float = 1.0) -> Path:
    """Repeats pixels; levels times ``gain``. Has no weights and looks at nothing around."""
    graph = NcnnGraph()
    graph.input("data")
    graph.add("Interp", ("data",), ("large",), f"0=1 1={scale:.6e} 2={scale:.6e}")
    graph.add("BinaryOp", ("large",), ("output",), f"0=2 1=1 2={gain:.6e}")
    graph.save(stem)
    return Path(f"{stem}.param")


def blurring(stem: Path, scale: int = 2, layers: int = 2, seed: int = 0) -> Path:
    """Random convolutions beside the plainly enlarged picture; looks ``layers + 1`` pixels around."""
    random = np.random.default_rng(seed)
    graph = NcnnGraph()
    graph.input("data")
    graph.add("Interp", ("data",), ("plain",), f"0=1 1={scale:.6e} 2={scale:.6e}")
    here, channels = "data", 3
    for layer in range(layers):
        weight = 0.3 * random.standard_normal((8, channels, 3, 3), np.float32)
        graph.convolution(here, f"h{layer}", weight, np.zeros(8, np.float32), relu=True)
        here, channels = f"h{layer}", 8
    weight = 0.05 * random.standard_normal((3 * scale**2, channels, 3, 3), np.float32)
    graph.convolution(here, "pixels", weight, np.zeros(3 * scale**2, np.float32))
    graph.pixel_shuffle("pixels", "more", scale)
    graph.sum("plain", "more", "output")
    graph.save(stem)
    return Path(f"{stem}.param")


def compact(
    stem: Path, *, channels: int = 6, layers: int = 2, scale: int = 4, half: bool = False, seed: int = 0
) -> Path:
    """Random weights in the form of Real-ESRGAN's compact networks; ``half``: those of convolutions in 16 bits."""
    random = np.random.default_rng(seed)
    graph = NcnnGraph()
    graph.input("data")
    here, width = "data", 3
    for layer in range(layers + 2):
        count = 3 * scale**2 if layer == layers + 1 else channels
        weight = (random.standard_normal((count, width, 3, 3)) / (3 * width**0.5)).astype(np.float16)
        bias = 0.1 * random.standard_normal(count).astype(np.float32)
        graph.convolution(here, f"h{layer}", weight.astype(np.float32), bias)
        if half:
            padding = bytes(weight.nbytes % 4)
            graph.weights[-3:] = [(0x01306B47).to_bytes(4, "little"), weight.tobytes() + padding, graph.weights[-1]]
        here, width = f"h{layer}", count
        if layer <= layers:
            graph.prelu(here, f"x{layer}", random.uniform(-0.3, 0.5, count).astype(np.float32))
            here = f"x{layer}"
    graph.pixel_shuffle(here, "pixels", scale)
    graph.add("Interp", ("data",), ("plain",), f"0=1 1={scale:.6e} 2={scale:.6e}")
    graph.sum("pixels", "plain", "output")
    graph.save(stem)
    return Path(f"{stem}.param")


def leveling(stem: Path, scale: int = 2) -> Path:
    """Adds the mean of the whole picture: it looks at everything."""
    graph = NcnnGraph()
    graph.input("data")
    graph.add("Interp", ("data",), ("plain",), f"0=1 1={scale:.6e} 2={scale:.6e}")
    graph.add("Reduction", ("data",), ("mean",), "0=3 1=0 -23303=2,1,2 4=1 5=1")
    graph.sum("plain", "mean", "output")
    graph.save(stem)
    return Path(f"{stem}.param")


def unpadded(stem: Path, scale: int = 2) -> Path:
    """A mean of 3x3 pixels without zeros around, so that an edge of a pixel is lost, enlarged."""
    graph = NcnnGraph()
    graph.input("data")
    weight = np.zeros((3, 3, 3, 3), np.float32)
    weight[range(3), range(3)] = 1 / 9
    graph.add("Convolution", ("data",), ("mean",), f"0=3 1=3 5=1 6={weight.size}")
    graph.weights += [np.zeros(1, np.int32).tobytes(), weight.tobytes(), np.zeros(3, np.float32).tobytes()]
    graph.add("Interp", ("mean",), ("output",), f"0=1 1={scale:.6e} 2={scale:.6e}")
    graph.save(stem)
    return Path(f"{stem}.param")
