"""Boxes of MP4, QuickTime, HEIC and AVIF (ISO 14496-12): where they are in a file, bounded, nothing trusted."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

MOST_BOXES = 20_000


def boxes(file: BinaryIO, start: int, stop: int, kind: bytes | None = None) -> Iterator[tuple[int, int]]:
    """Where the contents of all boxes (of a kind) between two places begin and end."""
    for name, begin, end in named_boxes(file, start, stop):
        if kind in (None, name):
            yield begin, end


def named_boxes(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of the contents of every box between two places."""
    for _ in range(MOST_BOXES):
        if stop - start < 8:
            return
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", file.read(8))[0], 16
        end = stop if size == 0 else min(start + size, stop)
        if end < start + header:
            return
        yield name, start + header, end
        start = end


def inside(file: BinaryIO, start: int, stop: int, *kinds: bytes) -> tuple[int, int] | None:
    """The contents of the first box of the last kind, in the first of the kind before it, and so on."""
    for kind in kinds:
        found = next(boxes(file, start, stop, kind), None)
        if found is None:
            return None
        start, stop = found
    return start, stop
