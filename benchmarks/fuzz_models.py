"""Image networks of ncnn that are damaged or mean harm, for `fuzz.py`: pairs of a ``.param`` and a ``.bin``."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import numpy as np

from limpid.runtimes.writing import NcnnGraph

OTHER_KINDS = ("ReLU", "Softmax", "Pooling", "Crop", "Flatten", "LSTM", "Gemm", "MultiHeadAttention")
Mutated = Callable[[bytes, random.Random], bytes]
NUMBERS = ("0", "1", "-1", "2", "7", "65", "255", "4096", "99999", "2147483647", "-2147483648", "1e30", "0.5", "-233")
HARMFUL = (
    "Interp big 1 1 data output 0=1 1=1000.0 2=1000.0",
    "Interp big 1 1 data output 0=1 3=100000 4=100000",
    "Interp none 1 1 data output 0=1 1=0.0 2=0.0",
    "Padding big 1 1 data output 0=30000 1=30000 2=30000 3=30000",
    "Padding under 1 1 data output 0=-9000 1=-9000",
    "Crop far 1 1 data output 0=2147483647 3=5 4=5 5=3",
    "Reshape big 1 1 data output 0=100000 1=100000 2=3",
    "PixelShuffle none 1 1 data output 0=0",
    "PixelShuffle big 1 1 data output 0=46341",
    "Convolution big 1 1 data output 0=3 1=46341 6=0",
    "Convolution none 1 1 data output 0=0 1=0 6=0",
    "Convolution dilated 1 1 data output 0=3 1=3 2=99999999 4=1 6=81",
    "Convolution strided 1 1 data output 0=3 1=3 3=0 6=81",
    "ConvolutionDepthWise divided 1 1 data output 0=3 1=3 7=0 6=27",
    "Deconvolution big 1 1 data output 0=3 1=3 3=60000 6=81",
    "InnerProduct big 1 1 data output 0=2000000000 2=100",
    "Pooling none 1 1 data output 0=0 1=0 2=0",
    "Permute odd 1 1 data output 0=9999",
    "Reorg none 1 1 data output 0=0",
    "ShuffleChannel none 1 1 data output 0=0",
    "Slice odd 1 1 data output -23300=1,-5",
    "Tile big 1 1 data output 0=0 1=2000000000",
    "PReLU few 1 1 data output 0=1",
    "GroupNorm none 1 1 data output 0=0 1=0",
    "MemoryData big 0 1 output 0=100000 1=100000 2=3",
)
"""A layer each that asks for too much, or for what ncnn may not have thought of."""


def small_network() -> tuple[bytes, bytes]:
    """Like those that people have: convolutions, a shuffle, the picture enlarged beside it."""
    source, graph = np.random.default_rng(0), NcnnGraph()
    graph.input("data")
    graph.add("Interp", ("data",), ("plain",), "0=1 1=2.0 2=2.0")
    graph.convolution("data", "a", 0.1 * source.standard_normal((16, 3, 3, 3)), np.zeros(16))
    graph.add("PReLU", ("a",), ("b",), "0=16")
    graph.weights.append(np.full(16, 0.1, np.float32).tobytes())
    graph.slice("b", [("c", 4), ("d", 0)])
    graph.concat(("d", "c"), "e")
    graph.convolution("e", "f", 0.1 * source.standard_normal((12, 16, 3, 3)), np.zeros(12))
    graph.pixel_shuffle("f", "g", 2)
    graph.sum("plain", "g", "output")
    return graph.param_text().encode(), b"".join(graph.weights)


def model_pairs(count: int, source: random.Random, mutated: Mutated) -> Iterator[tuple[str, bytes, bytes]]:
    """Kind, ``.param`` and ``.bin``: every fifth harmful by design, the others a network with changes."""
    param, weights = small_network()
    for number in range(count):
        if number % 5 == 0:
            line = HARMFUL[number // 5 % len(HARMFUL)]
            yield "harmful", f"7767517\n2 2\nInput i 0 1 data\n{line}\n".encode(), bytes(1 << 16)
        elif number % 5 == 1:
            yield "param bytes", mutated(param, source), weights
        elif number % 5 == 2:
            yield "bin bytes", param, mutated(weights, source)
        elif number % 5 == 3:
            yield "param numbers", with_other_numbers(param.decode(), source).encode(), weights
        else:
            yield "param lines", with_other_lines(param.decode(), source).encode(), weights


def with_other_numbers(param: str, source: random.Random) -> str:
    """Up to three options with another number."""
    for _ in range(source.randint(1, 3)):
        found = source.choice(list(re.finditer(r"=[-\d.,e+]+", param)))
        param = param[: found.start() + 1] + source.choice(NUMBERS) + param[found.end() :]
    return param


def with_other_lines(param: str, source: random.Random) -> str:
    """Layers exchanged, left out, doubled or of another kind; their number is set right."""
    lines = param.splitlines()[2:]
    for _ in range(source.randint(1, 3)):
        a, b = source.randrange(len(lines)), source.randrange(len(lines))
        change = source.randrange(4)
        if change == 0:
            lines[a], lines[b] = lines[b], lines[a]
        elif change == 1 and len(lines) > 2:
            del lines[a]
        elif change == 2:
            lines.insert(b, lines[a])
        else:
            lines[a] = " ".join([source.choice(OTHER_KINDS), *lines[a].split(" ")[1:]])
    return "\n".join(["7767517", f"{len(lines)} {sum(int(line.split()[3]) for line in lines)}", *lines, ""])
