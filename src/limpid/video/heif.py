"""Pictures in HEIC and AVIF (ISO 23008-12): what stands beside the pixels of the main one, which FFmpeg tells not.

Sizes are bounded, and what makes no sense is as if it were not there.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from limpid.video.boxes import inside, named_boxes

_MOST_BYTES = 16 << 20
_MOST_ITEMS = 10_000
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


@dataclass(frozen=True, kw_only=True)
class Heif:
    """``aperture``: the contents of the ``clap`` property of the main picture, ``size`` its stored width and height."""

    size: tuple[int, int] = (0, 0)
    aperture: bytes = b""
    icc: bytes = b""
    exif: bytes = b""
    xmp: bytes = b""
    turns: tuple[tuple[bytes, int], ...] = ()
    """``irot`` and ``imir`` with their values, in the order in which they are to be applied."""
    has_alpha: bool = False
    """Whether a picture of its own has the transparency of the main one."""


def read_heif(path: Path) -> Heif:
    """What a file says of its main picture; nothing where it is no such file."""
    with contextlib.suppress(OSError, struct.error, ValueError, IndexError), path.open("rb") as file:
        file.seek(0, 2)
        return heif_of(file, file.tell())
    return Heif()


def heif_of(file: BinaryIO, end: int) -> Heif:
    """`read_heif` of an open file of so many bytes."""
    meta = inside(file, 0, end, b"meta")
    if meta is None:
        return Heif()
    start, stop = meta[0] + 4, meta[1]
    properties, main = list(_properties(file, start, stop)), _main_item(file, start, stop)
    own = {kind: body for number, kind, body in properties if number == main}
    colours = [body for number, kind, body in properties if number == main and kind == b"colr"]
    items = dict(_items(file, start, stop))
    exif = _contents(file, start, stop, items.get(b"Exif"))
    offset = int.from_bytes(exif[:4], "big")
    size = struct.unpack(">II", own[b"ispe"][4:12]) if len(own.get(b"ispe", b"")) >= 12 else (0, 0)
    return Heif(
        size=(size[0], size[1]),
        aperture=own.get(b"clap", b""),
        icc=next((body[4:] for body in colours if body[:4] in (b"prof", b"rICC")), b""),
        exif=exif[4 + offset :],
        xmp=_contents(file, start, stop, items.get(b"xmp")),
        turns=tuple(
            (kind, body[0]) for number, kind, body in properties if number == main and kind in (b"irot", b"imir")
        ),
        has_alpha=any(kind == b"auxC" and body[4:].startswith(_ALPHA) for _, kind, body in properties),
    )


def _read(file: BinaryIO, start: int, stop: int) -> bytes:
    file.seek(start)
    return file.read(min(stop - start, _MOST_BYTES))


def _box(file: BinaryIO, start: int, stop: int, *kinds: bytes) -> io.BytesIO:
    found = inside(file, start, stop, *kinds)
    return io.BytesIO(b"" if found is None else _read(file, *found))


def _number(data: io.BytesIO, size: int) -> int:
    part = data.read(size)
    if len(part) != size:
        raise ValueError("the box ends early")
    return int.from_bytes(part, "big")


def _main_item(file: BinaryIO, start: int, stop: int) -> int:
    data = _box(file, start, stop, b"pitm")
    version = _number(data, 4) >> 24
    return _number(data, 2 if version == 0 else 4)


def _properties(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Item, kind and contents of each property, in the order in which they are to be applied."""
    shared = inside(file, start, stop, b"iprp", b"ipco")
    if shared is None:
        return
    known = [(kind, _read(file, *place)) for kind, *place in named_boxes(file, *shared)]
    data = _box(file, start, stop, b"iprp", b"ipma")
    head = _number(data, 4)
    for _ in range(min(_number(data, 4), _MOST_ITEMS)):
        item = _number(data, 2 if head >> 24 == 0 else 4)
        for _ in range(_number(data, 1)):
            index = _number(data, 2) & 0x7FFF if head & 1 else _number(data, 1) & 0x7F
            if 0 < index <= len(known):
                yield item, *known[index - 1]


def _items(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int]]:
    """Kinds of the items that are no pictures (``Exif``, ``xmp``), and their numbers."""
    listed = inside(file, start, stop, b"iinf")
    if listed is None:
        return
    short = _read(file, listed[0], listed[0] + 1) == b"\0"
    for _, begin, end in named_boxes(file, listed[0] + (6 if short else 8), listed[1]):
        data = io.BytesIO(_read(file, begin, end))
        version = _number(data, 4) >> 24
        item = _number(data, 2 if version < 3 else 4)
        _number(data, 2)
        kind, rest = data.read(4), data.read()
        if kind == b"Exif":
            yield kind, item
        elif kind == b"mime" and rest.split(b"\0")[1] == b"application/rdf+xml":
            yield b"xmp", item


def _contents(file: BinaryIO, start: int, stop: int, wanted: int | None) -> bytes:
    """The bytes of an item, found through ``iloc``; only what lies in the file itself."""
    if wanted is None:
        return b""
    data = _box(file, start, stop, b"iloc")
    version = _number(data, 4) >> 24
    sizes = _number(data, 2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    for _ in range(min(_number(data, 2 if version < 2 else 4), _MOST_ITEMS)):
        item = _number(data, 2 if version < 2 else 4)
        method = _number(data, 2) & 15 if version else 0
        _number(data, 2)
        base, found = _number(data, base_size), b""
        for _ in range(_number(data, 2)):
            _number(data, index_size if version else 0)
            begin, length = base + _number(data, offset_size), _number(data, length_size)
            if item == wanted and method == 0 and len(found) < _MOST_BYTES:
                found += _read(file, begin, begin + length)
        if item == wanted:
            return found
    return b""
