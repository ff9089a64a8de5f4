"""What the first directory of a TIFF says of its pixels (TIFF 6.0, and BigTIFF with its 64-bit places), and the
pictures among them that OpenCV would spoil: it multiplies 8-bit colours with their opacity, and drops that of grey.
"""

from __future__ import annotations

import contextlib
import io
import struct
from dataclasses import dataclass

import av
import numpy as np

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES = 256, 257, 258, 262, 274, 277
_EXTRA, _FORMAT = 338, 339
_GREY, _RGB, _CMYK = (0, 1), 2, 5
_FLOAT = 3
_MOST_TAGS, _MOST_PAGES = 512, 1000
_SIZES = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiff:
    """The first picture of a file, by its header."""

    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    extra: int | None
    """What the first sample beyond the colours is: 1 opacity that colours are multiplied with, 2 plain opacity, 0
    unknown; None: there is none, or nothing is said of it."""
    is_float: bool
    orientation: int
    pages: int
    """How many pictures the file holds, 1000 at most."""

    @property
    def is_cmyk(self) -> bool:
        return self.photometric == _CMYK

    @property
    def has_opacity(self) -> bool:
        """Whether the last sample is opacity, and the file says of which kind."""
        colours = 1 if self.photometric in _GREY else 3 if self.photometric == _RGB else None
        return self.extra in (1, 2) and self.samples - 1 == colours


def is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def tiff_of(data: bytes) -> Tiff | None:
    """None for what is no TIFF or says too little."""
    try:
        return _tiff_of(data) if is_tiff(data) else None
    except struct.error:  # a place outside of the file
        return None


def _tiff_of(data: bytes) -> Tiff | None:
    order, big = "<" if data[:2] == b"II" else ">", b"+" in data[2:4]
    first = struct.unpack_from(f"{order}Q", data, 8)[0] if big else struct.unpack_from(f"{order}I", data, 4)[0]
    tags, after = _directory(data, order, first, big=big)
    if _WIDTH not in tags or _HEIGHT not in tags:
        return None
    return Tiff(
        width=tags[_WIDTH],
        height=tags[_HEIGHT],
        bits=tags.get(_BITS, 8),
        samples=tags.get(_SAMPLES, 1),
        photometric=tags.get(_PHOTOMETRIC, 1),
        extra=tags.get(_EXTRA),
        is_float=tags.get(_FORMAT) == _FLOAT,
        orientation=tags.get(_ORIENTATION, 1),
        pages=1 + _further(data, order, after, big=big),
    )


def _directory(data: bytes, order: str, at: int, *, big: bool) -> tuple[dict[int, int], int]:
    """The first value of each tag whose values are whole numbers, and where the next directory lies."""
    head, entry, tail = (f"{order}Q", f"{order}HHQ", f"{order}Q") if big else (f"{order}H", f"{order}HHI", f"{order}I")
    (count,) = struct.unpack_from(head, data, at)
    start, step, room = at + struct.calcsize(head), 20 if big else 12, 8 if big else 4
    tags = {}
    for number in range(min(count, _MOST_TAGS)):
        tag, kind, length = struct.unpack_from(entry, data, start + step * number)
        unit = f"{order}{_SIZES.get(kind, 'I')}"
        place = start + step * number + step - room
        if length * struct.calcsize(unit) > room:
            (place,) = struct.unpack_from(tail, data, place)
        if kind in _SIZES and place + struct.calcsize(unit) <= len(data):
            (tags[tag],) = struct.unpack_from(unit, data, place)
    after = start + step * count
    return tags, struct.unpack_from(tail, data, after)[0] if after + room <= len(data) else 0


def _further(data: bytes, order: str, at: int, *, big: bool) -> int:
    """How many directories follow from ``at`` on."""
    seen: set[int] = set()
    with contextlib.suppress(struct.error):
        while at and at not in seen and len(seen) < _MOST_PAGES - 1:
            _, following = _directory(data, order, at, big=big)
            seen.add(at)
            at = following
    return len(seen)


def plain_opacity(data: bytes, tiff: Tiff) -> np.ndarray | None:
    """The stored picture as RGBA, colours not multiplied with their opacity; None where FFmpeg cannot read it all."""
    try:
        with av.open(io.BytesIO(data), "r", format="tiff_pipe") as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"max_pixels": str((tiff.width + 64) * (tiff.height + 64))}
            frame = next(container.decode(stream))
            parts = frame.format.components
            if (frame.width, frame.height) != (tiff.width, tiff.height) or not any(part.is_alpha for part in parts):
                return None
            pixels = frame.to_ndarray(format="rgba64le" if max(part.bits for part in parts) > 8 else "rgba")
    except (av.FFmpegError, StopIteration, ValueError, IndexError):
        return None
    return divided(pixels) if tiff.extra == 1 else pixels


def divided(pixels: np.ndarray) -> np.ndarray:
    """Colours that were multiplied with their opacity, as they were before; the last channel is opacity."""
    top = float(np.iinfo(pixels.dtype).max)
    opacity = np.maximum(pixels[..., 3:].astype(np.float32), 1)
    colours = np.rint(np.minimum(pixels[..., :3] * (top / opacity), top)).astype(pixels.dtype)
    return np.concatenate([colours, pixels[..., 3:]], axis=-1)
