"""Networks of other people in the files of ncnn: where they lie, and what of a ``.param`` is looked at before ncnn is.

The files are untrusted: ncnn does not check much. What can be said without it is said here; what cannot is found out
by a process that may crash (`limpid.runtimes.trial`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limpid.bounded import quoted, read_regular
from limpid.runtimes.writing import MAGIC
from limpid.types import WeightsError

MOST_PARAM_BYTES, MOST_BIN_BYTES = 8 << 20, 1 << 30
MOST_LAYERS, MOST_BLOBS, MOST_ENDS = 10_000, 100_000, 256
MOST_WEIGHTS = 1 << 28
"""Weights of one layer: 1 GiB of float32."""
_NAME, _OPTION = re.compile(r"[\x21-\x7e]{1,256}"), re.compile(r"-?\d{1,6}=\S{1,2000}")
_VALUE = re.compile(r"-?\d{1,10}|-?\d{1,10}\.\d{0,12}(e[+-]?\d{1,2})?|-?\d{1,2}e[+-]?\d{1,2}|\"[\w.]*\"|[A-Za-z_]\w*")
"""Whole numbers, decimal ones, words: what ncnn's own converters write."""


@dataclass(frozen=True, slots=True)
class NcnnFiles:
    """A ``.param`` and the ``.bin`` beside it."""

    param: Path
    bin: Path

    @staticmethod
    def of(model: str | Path) -> NcnnFiles:
        """By the ``.param``, the ``.bin``, or the path without an ending. Raises WeightsError if one is missing."""
        path = Path(model)
        stem = str(path.with_suffix("") if path.suffix in (".param", ".bin") else path)
        files = NcnnFiles(Path(f"{stem}.param"), Path(f"{stem}.bin"))
        for file in (files.param, files.bin):
            if not file.is_file():
                raise WeightsError(f"{file}: there is no such file; a network of ncnn is a .param and a .bin")
        return files

    @staticmethod
    def named_by(path: Path) -> bool:
        """Whether a path, perhaps without its ending, names a network of ncnn and nothing else."""
        return path.suffix in (".param", ".bin") or (not path.exists() and Path(f"{path}.param").is_file())

    @property
    def stem(self) -> Path:
        return self.param.with_suffix("")

    def digest(self) -> str:
        """SHA-256 of both files, one after the other. Raises WeightsError."""
        return hashlib.sha256(self.read(self.param, MOST_PARAM_BYTES) + self.read(self.bin, MOST_BIN_BYTES)).hexdigest()

    def check(self) -> None:
        """Raises WeightsError for a ``.param`` that is none, or whose numbers are beyond what networks have."""
        try:
            check_param(self.read(self.param, MOST_PARAM_BYTES).decode("ascii"), self.bin.stat().st_size)
        except UnicodeDecodeError:
            raise WeightsError(f"{self.param} is no network of ncnn that can be used: it is no plain text") from None
        except ValueError as error:
            raise WeightsError(f"{self.param} is no network of ncnn that can be used: {error}") from None

    @staticmethod
    def read(path: Path, most: int) -> bytes:
        try:
            return read_regular(path, most)
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def check_param(text: str, bin_bytes: int) -> None:
    """Looks at every line of a ``.param``. Raises ValueError, which says what is wrong."""
    lines = [line.split() for line in text.split("\n") if line.strip()]
    if len(lines) < 3 or lines[0] != [MAGIC] or len(lines[1]) != 2:
        raise ValueError("it does not begin as one")
    layers, blobs = (_count(word, most) for word, most in zip(lines[1], (MOST_LAYERS, MOST_BLOBS), strict=True))
    if layers != len(lines) - 2:
        raise ValueError(f"it says that it has {layers} layers, and has {len(lines) - 2}")
    made: set[str] = set()
    weights = 0
    for number, line in enumerate(lines[2:]):
        weights += _check_layer(number, line, made)
    if len(made) > blobs:
        raise ValueError(f"it says that it has {blobs} blobs, and has {len(made)}")
    if weights > bin_bytes:  # at least a byte per weight, with eight bits each
        raise ValueError(f"it lists {weights} weights, more than the {bin_bytes} bytes of its .bin can hold")


def _check_layer(number: int, words: Sequence[str], made: set[str]) -> int:
    """Adds what a layer makes to what is made; returns the number of its weights."""
    if len(words) < 4 or not all(_NAME.fullmatch(word) for word in words[:2]):
        raise ValueError(f"layer {number} has no kind and name")
    reads, makes = (_count(word, MOST_ENDS) for word in words[2:4])
    names, options = words[4 : 4 + reads + makes], words[4 + reads + makes :]
    if len(names) < reads + makes or not all(_NAME.fullmatch(name) for name in names):
        raise ValueError(f"layer {number} lacks names of what it reads and makes")
    for name in names[:reads]:
        if name not in made:
            raise ValueError(f"layer {number} reads {quoted(name)}, which no layer before it makes")
    if made & set(names[reads:]) or len(set(names[reads:])) < makes:
        raise ValueError(f"layer {number} makes what is there already")
    made |= set(names[reads:])
    return max((_option(number, word) for word in options), default=0)


def _option(number: int, word: str) -> int:
    """Checks one option; returns its value where it counts weights (number 6 of convolutions)."""
    if not _OPTION.fullmatch(word):
        raise ValueError(f"layer {number} has the option {quoted(word)}")
    key, _, value = word.partition("=")
    if not all(_VALUE.fullmatch(part) for part in value.split(",")):
        raise ValueError(f"layer {number} has the option {quoted(word)}")
    if key != "6" or not value.isdigit():
        return 0
    return _count(value, MOST_WEIGHTS)


def _count(word: str, most: int) -> int:
    if not re.fullmatch(r"\d{1,9}", word) or int(word) > most:
        raise ValueError(f"{quoted(word)} is none of the counts that can be, 0 to {most}")
    return int(word)
