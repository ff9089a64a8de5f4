"""Weights of compact networks in the files of ncnn, read as arrays to train on from them (ncnn itself only runs them).

Such a network (SRVGGNetCompact of Real-ESRGAN: Wang et al. 2021) is 3x3 convolutions in a row, each but the last
followed by a PReLU; the pixels of the result are the channels of the last, and the frame, enlarged plainly, is added.
The files are untrusted: nothing is taken from them before it is known to be of this form and of a possible size.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from limpid.bounded import quoted
from limpid.runtimes.files import MOST_BIN_BYTES, MOST_PARAM_BYTES, NcnnFiles
from limpid.types import WeightsError

NEEDED = (
    "a compact network is needed: 3x3 convolutions in a row with a PReLU between each two, a pixel shuffle, and the "
    "enlarged frame added, as in realesr-animevideov3 of Real-ESRGAN"
)
_MOST_CONVOLUTIONS, _MOST_CHANNELS = 66, 1024
_FLOAT32, _FLOAT16 = 0, 0x01306B47
"""What stands before the weights of a convolution, by their number format; others are of eight bits and less."""
_PLAIN = {"1": "3", "2": "1", "3": "1", "4": "1", "5": "1", "11": "3", "12": "1", "13": "1", "14": "1"}
"""Options of a 3x3 convolution with a border of zeros and a bias, of which 2 and 3 may be left out."""
_ADD = "0"


@dataclass(frozen=True, kw_only=True, slots=True)
class CompactNetwork:
    """Arrays in float32, in the order of the layers."""

    weights: tuple[np.ndarray, ...]
    """Arrays of the convolutions, ``out in 3 3``."""
    biases: tuple[np.ndarray, ...]
    slopes: tuple[np.ndarray, ...]
    """Arrays of the PReLU behind each but the last, a value for each channel."""
    scale: int

    @property
    def channels(self) -> int:
        return int(self.slopes[0].size)


class _Layer(NamedTuple):
    kind: str
    reads: tuple[str, ...]
    """What is read; behind a `Split`, what that read."""
    makes: str
    options: Mapping[str, str]


def read_compact(files: NcnnFiles) -> CompactNetwork:
    """The network in these files. Raises WeightsError if they are damaged or of another form."""
    files.check()
    try:
        layers, scale = _chain(_layers(files.read(files.param, MOST_PARAM_BYTES).decode("ascii")))
        return _read(layers, scale, files.read(files.bin, MOST_BIN_BYTES))
    except ValueError as error:
        raise WeightsError(f"{files.param} cannot be trained on from: {error}; {NEEDED}") from None


def _layers(text: str) -> list[_Layer]:
    """All layers but `Split`, of a text that `NcnnFiles.check` has found sound."""
    found, same = list[_Layer](), dict[str, str]()
    for line in [line.split() for line in text.split("\n") if line.strip()][2:]:
        kind, reads, makes = line[0], int(line[2]), int(line[3])
        names = [same.get(name, name) for name in line[4 : 4 + reads + makes]]
        options = dict(word.split("=", 1) for word in line[4 + reads + makes :])
        if kind == "Split" and reads == 1:
            same |= dict.fromkeys(names[1:], names[0])
        elif makes == 1:
            found.append(_Layer(kind, tuple(names[:reads]), names[-1], options))
        else:
            raise ValueError(f"its layer {quoted(line[1])} makes {makes} results")
    return found


def _chain(layers: list[_Layer]) -> tuple[list[_Layer], int]:
    """Convolutions and PReLUs in their order, and the scale. Raises ValueError for any other form."""
    base = [layer for layer in layers if layer.kind == "Interp"]
    rest = [layer for layer in layers if layer.kind != "Interp"]
    if len(rest) < 6 or [layer.kind for layer in (rest[0], *rest[-2:])] != ["Input", "PixelShuffle", "BinaryOp"]:
        raise ValueError("it has other layers")
    row, shuffle, end = rest[1:-2], rest[-2], rest[-1]
    kinds = [("Convolution", "PReLU")[n % 2] for n in range(len(row))]
    if [layer.kind for layer in row] != kinds or len(row) % 2 == 0 or len(row) // 2 >= _MOST_CONVOLUTIONS:
        raise ValueError("its layers are others, or come in another order")
    before = [layer.makes for layer in rest[:-2]]
    linked = [layer.reads for layer in rest[1:-1]] == [(name,) for name in before]
    if not linked or len(base) != 1 or base[0].reads != (rest[0].makes,):
        raise ValueError("its layers read others than the ones before them")
    if sorted(end.reads) != sorted((shuffle.makes, base[0].makes)) or end.options.get("0", _ADD) != _ADD:
        raise ValueError("its result is no sum of the pixels and the enlarged frame")
    return row, _whole(shuffle.options.get("0", ""))


def _read(row: list[_Layer], scale: int, data: bytes) -> CompactNetwork:
    """The arrays of the layers, one behind the other. Raises ValueError when sizes do not go together."""
    file, width = io.BytesIO(data), 3
    weights, biases, slopes = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for layer in row:
        if layer.kind == "PReLU":
            if layer.options.get("0") != str(width):
                raise ValueError("a PReLU has not one slope for each channel")
            slopes.append(_values(file, width))
            continue
        count = _outputs(layer, width)
        weights.append(_convolution(file, 9 * count * width).reshape(count, width, 3, 3))
        biases.append(_values(file, count))
        width = count
    if file.read(1):
        raise ValueError("its .bin holds more than its layers have")
    if len({array.size for array in slopes}) != 1 or width != 3 * scale**2:
        raise ValueError(
            f"its layers differ in width, or its last does not make {scale}x{scale} pixels of three colours"
        )
    return CompactNetwork(weights=tuple(weights), biases=tuple(biases), slopes=tuple(slopes), scale=scale)


def _outputs(layer: _Layer, width: int) -> int:
    """Channels that a convolution of ``width`` channels makes."""
    options = {"2": "1", "3": "1", **layer.options}
    count = _whole(options.pop("0", ""))
    if options.pop("6", "") != str(9 * count * width) or not {"1", "4", "5"} <= set(options):
        raise ValueError("a convolution is no 3x3 one with a border of zeros and a bias")
    if any(_PLAIN.get(key) != value for key, value in options.items()):
        raise ValueError("a convolution is no 3x3 one with a border of zeros and a bias, or has more to it")
    return count


def _whole(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_CHANNELS:
        raise ValueError(f"{quoted(text)} is no count from 1 to {_MOST_CHANNELS}")
    return int(text)


def _convolution(file: io.BytesIO, count: int) -> np.ndarray:
    tag = int.from_bytes(file.read(4), "little")
    if tag == _FLOAT16:
        values = _values(file, count, np.float16)
        file.read(-2 * count % 4)
        return values
    if tag != _FLOAT32:
        raise ValueError("its weights are neither of 32 nor of 16 bits")
    return _values(file, count)


def _values(file: io.BytesIO, count: int, kind: type[np.floating] = np.float32) -> np.ndarray:
    """As many numbers, in float32."""
    size = count * np.dtype(kind).itemsize
    data = file.read(size)
    if len(data) != size:
        raise ValueError("its .bin ends too early")
    values = np.frombuffer(data, np.dtype(kind).newbyteorder("<")).astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("it has weights that are no numbers")
    return values
