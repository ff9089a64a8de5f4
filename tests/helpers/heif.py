"""HEIC files for tests, written box by box: single pictures, hidden edges, grids, EXIF, XMP, profiles, transparency.

The pictures are HEVC by x265; boxes are those of ISO 23008-12.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np


def box(kind: bytes, *parts: bytes, version: int | None = None, flags: int = 0) -> bytes:
    head = b"" if version is None else struct.pack(">I", version << 24 | flags)
    body = head + b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def hevc(pixels: np.ndarray) -> tuple[bytes, bytes]:
    """An ``hvcC`` box and the bytes of one picture, ``h w 3`` uint8 of at least 64 pixels a side."""
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as out:
        stream: Any = out.add_stream("libx265", rate=1, options={"crf": "4", "x265-params": "log-level=none"})
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
        stream.codec_context.codec_tag = "hvc1"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    whole = data.getvalue()
    at = whole.index(b"hvcC") - 4
    size = struct.unpack(">I", whole[at : at + 4])[0]
    data.seek(0)
    with av.open(data) as made:
        packet = next(packet for packet in made.demux(made.streams.video[0]) if packet.size)
        return whole[at : at + size], bytes(packet)


@dataclass
class HeicWriter:
    """Items with their properties, and what refers to what."""

    items: list[tuple[int, bytes, bytes, bytes]] = field(default_factory=list)
    """Number, kind, what follows the name in ``infe``, contents."""
    properties: dict[int, list[bytes]] = field(default_factory=dict)
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)

    def add(self, kind: bytes, contents: bytes, *properties: bytes, more: bytes = b"") -> int:
        number = len(self.items) + 1
        self.items.append((number, kind, more, contents))
        self.properties[number] = list(properties)
        return number

    def add_picture(self, pixels: np.ndarray, *properties: bytes) -> int:
        head, data = hevc(pixels)
        return self.add(b"hvc1", data, head, extent(pixels.shape[1], pixels.shape[0]), *properties)

    def refer(self, kind: bytes, source: int, *targets: int) -> None:
        self.references.append((kind, source, list(targets)))

    def write(self, path: Path, main: int) -> Path:
        head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
        size = len(self._meta(main, 0))
        data = b"".join(contents for *_, contents in self.items)
        path.write_bytes(head + self._meta(main, len(head) + size + 8) + box(b"mdat", data))
        return path

    def _meta(self, main: int, start: int) -> bytes:
        shared = [(number, each) for number, own in self.properties.items() for each in own]
        places, at = b"", start
        for number, *_, contents in self.items:
            places += struct.pack(">HHHII", number, 0, 1, at, len(contents))
            at += len(contents)
        entries = b"".join(
            box(b"infe", struct.pack(">HH", number, 0), kind, b"\0", more, version=2)
            for number, kind, more, _ in self.items
        )
        links = b"".join(
            struct.pack(">HB", number, len(own))
            + bytes(0x80 | 1 + i for i, (holder, _) in enumerate(shared) if holder == number)
            for number, own in self.properties.items()
        )
        refers = b"".join(
            box(kind, struct.pack(">HH", source, len(targets)), *(struct.pack(">H", t) for t in targets))
            for kind, source, targets in self.references
        )
        return box(
            b"meta",
            box(b"hdlr", bytes(4), b"pict", bytes(13), version=0),
            box(b"pitm", struct.pack(">H", main), version=0),
            box(b"iloc", b"\x44\0", struct.pack(">H", len(self.items)), places, version=0),
            box(b"iinf", struct.pack(">H", len(self.items)), entries, version=0),
            box(b"iref", refers, version=0) if refers else b"",
            box(
                b"iprp",
                box(b"ipco", *(each for _, each in shared)),
                box(b"ipma", struct.pack(">I", len(self.properties)), links, version=0),
            ),
            version=0,
        )


def extent(width: int, height: int) -> bytes:
    return box(b"ispe", struct.pack(">II", width, height), version=0)


def aperture(width: int, height: int, stored: tuple[int, int]) -> bytes:
    """Only the upper left of a stored picture is shown."""
    x, y = width - stored[0], height - stored[1]
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, x, 2, y, 2))


def profile(icc: bytes) -> bytes:
    return box(b"colr", b"prof", icc)


ALPHA = box(b"auxC", b"urn:mpeg:hevc:2015:auxid:1\0", version=0)


def grid(columns: int, rows: int, width: int, height: int) -> bytes:
    """The contents of an item that puts tiles together."""
    return struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
