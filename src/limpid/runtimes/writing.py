"""Networks in the files of ncnn: layers are listed one by one, with the names of what they read and make.

``.param`` is a text, a line per layer; ``.bin`` holds the weights in the order of the layers, each array of a
convolution behind four bytes that say in which format it is (zero: float32). Whatever several layers read goes through
a layer `Split` there, which is added when the text is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

MAGIC = "7767517"
"""First line of a ``.param``."""
_FLOAT32 = np.zeros(1, np.int32).tobytes()


@dataclass(frozen=True, slots=True)
class NcnnLayer:
    """One line of a ``.param``; ``options`` are ncnn's, ``number=value``."""

    kind: str
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    options: str = ""


@dataclass
class NcnnGraph:
    """A network that is being put together; pictures in it are ``c h w``."""

    layers: list[NcnnLayer] = field(default_factory=list)
    weights: list[bytes] = field(default_factory=list)

    def add(self, kind: str, reads: Sequence[str], makes: Sequence[str], options: str = "") -> None:
        self.layers.append(NcnnLayer(kind, tuple(reads), tuple(makes), options))

    def input(self, name: str) -> None:
        self.add("Input", (), (name,))

    def convolution(
        self,
        reads: str,
        makes: str,
        weight: np.ndarray,
        bias: np.ndarray,
        *,
        stride: int = 1,
        dilation: int = 1,
        relu: bool = False,
    ) -> None:
        """``weight``: ``out in k k`` with an odd k, zeros around the picture."""
        count, _, kernel, _ = weight.shape
        around = dilation * (kernel // 2)
        options = f"0={count} 1={kernel} 2={dilation} 3={stride} 4={around} 5=1 6={weight.size}"
        options += " 9=1" if relu else ""
        self.add("Convolution", (reads,), (makes,), options)
        self.weights += [_FLOAT32, _bytes(weight), _bytes(bias)]

    def sum(self, first: str, second: str, makes: str) -> None:
        self.add("BinaryOp", (first, second), (makes,), "0=0")

    def relu(self, reads: str, makes: str) -> None:
        self.add("ReLU", (reads,), (makes,))

    def prelu(self, reads: str, makes: str, slopes: np.ndarray) -> None:
        """What is negative times the slope of its channel."""
        self.add("PReLU", (reads,), (makes,), f"0={slopes.size}")
        self.weights.append(_bytes(slopes))

    def slice(self, reads: str, parts: Sequence[tuple[str, int]]) -> None:
        """Divides channels into parts of a name and a number of channels each; the last takes what is left."""
        sizes = [str(count) for _, count in parts[:-1]] + ["-233"]
        self.add("Slice", (reads,), [name for name, _ in parts], f"-23300={len(sizes)},{','.join(sizes)}")

    def concat(self, reads: Sequence[str], makes: str) -> None:
        self.add("Concat", reads, (makes,), "0=0")

    def pixel_shuffle(self, reads: str, makes: str, factor: int) -> None:
        self.add("PixelShuffle", (reads,), (makes,), f"0={factor}")

    def param_text(self) -> str:
        """The contents of the ``.param``."""
        layers = _with_splits(self.layers)
        lines = [
            " ".join([layer.kind, f"l{n}", str(len(layer.reads)), str(len(layer.makes)), *layer.reads, *layer.makes])
            + (f" {layer.options}" if layer.options else "")
            for n, layer in enumerate(layers)
        ]
        return "\n".join([MAGIC, f"{len(layers)} {sum(len(layer.makes) for layer in layers)}", *lines, ""])

    def save(self, stem: Path) -> None:
        """Writes ``stem.param`` and ``stem.bin``."""
        Path(f"{stem}.param").write_text(self.param_text())
        Path(f"{stem}.bin").write_bytes(b"".join(self.weights))


def _with_splits(layers: Sequence[NcnnLayer]) -> list[NcnnLayer]:
    uses, taken = Counter(name for layer in layers for name in layer.reads), Counter[str]()
    found = []
    for layer in layers:
        reads = []
        for name in layer.reads:
            reads.append(f"{name}_{taken[name]}" if uses[name] > 1 else name)
            taken[name] += 1
        found.append(NcnnLayer(layer.kind, tuple(reads), layer.makes, layer.options))
        for name in layer.makes:
            if uses[name] > 1:
                found.append(NcnnLayer("Split", (name,), tuple(f"{name}_{n}" for n in range(uses[name]))))
    return found


def _bytes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array, np.float32).tobytes()
