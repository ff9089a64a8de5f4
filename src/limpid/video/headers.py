"""Picture sizes from the first bytes of image files, so that a small file that unpacks to gigabytes is never decoded.

Only what OpenCV would recognise by the same marks is known here; anything else is not given to it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from limpid.types import InputError
from limpid.video.tiff import tiff_of

MAX_PIXELS = 1 << 27
"""16384x8192 and the like: what one frame of a video or image may have."""
MAX_IMAGE_BYTES = 1 << 30
"""Size of a decoded image, and of the file itself, at most."""
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_CHANNELS = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """What the header of an image claims."""

    width: int
    height: int
    pixel_bytes: int


def check_picture(path: Path, data: bytes) -> bool:
    """Whether the header of an image is one that is known; raises InputError for a picture that is far too large."""
    found = picture_of(data)
    if found is None:
        return False
    check_size(path, found.width, found.height)
    if found.width * found.height * found.pixel_bytes > MAX_IMAGE_BYTES:
        bits = 8 * found.pixel_bytes
        raise InputError(f"{path}: {found.width}x{found.height} pixels of {bits} bits are more than can be decoded")
    return True


def check_size(path: Path | str, width: int, height: int) -> None:
    """Raises InputError for a picture that would not fit into memory whatever the method."""
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: claims {width}x{height} pixels; at most {MAX_PIXELS >> 20} million can be handled")


def picture_of(data: bytes) -> Picture | None:
    """Size and depth by the header; None for a file that is no image of a known kind."""
    try:
        if data[4:8] == b"ftyp":
            return _avif(data)
        for mark, read in _KINDS:
            if data.startswith(mark):
                return read(data)
    except (struct.error, IndexError, ValueError):
        return None
    return None


def _png(data: bytes) -> Picture:
    """ISO 15948, 11.2.2."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    return Picture(width=width, height=height, pixel_bytes=_PNG_CHANNELS.get(colour, 4) * (2 if depth == 16 else 1))


def _jpeg(data: bytes) -> Picture | None:
    """ISO 10918-1, B.2.2: the first frame header."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            at += 1
            continue
        mark = data[at + 1]
        if mark in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Picture(width=width, height=height, pixel_bytes=4)
        alone = mark in (0x01, 0xFF) or 0xD0 <= mark <= 0xD8
        at += 1 if mark == 0xFF else 2 if alone else 2 + max(struct.unpack_from(">H", data, at + 2)[0], 2)
    return None


def _tiff(data: bytes) -> Picture | None:
    """TIFF 6.0, section 2: the first directory."""
    found = tiff_of(data)
    if found is None:
        return None
    depth = min(max(1, found.bits // 8), 8)
    return Picture(width=found.width, height=found.height, pixel_bytes=depth * min(max(found.samples, 1), 64))


def _webp(data: bytes) -> Picture | None:
    """RFC 9649: the canvas of the extended form, or the size of the one picture."""
    kind = data[12:16]
    if data[8:12] != b"WEBP":
        return None
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (struct.unpack_from("<H", data, at)[0] & 0x3FFF for at in (26, 28))
    else:
        return None
    return Picture(width=width, height=height, pixel_bytes=4)


def _bmp(data: bytes) -> Picture:
    width, height = struct.unpack_from("<ii", data, 18)
    if struct.unpack_from("<I", data, 14)[0] == 12:  # the header of OS/2
        width, height = struct.unpack_from("<HH", data, 18)
    return Picture(width=abs(width), height=abs(height), pixel_bytes=4)


def _avif(data: bytes) -> Picture | None:
    """ISO 23008-12: the boxes ``ispe`` say how large the pictures in the file are; the largest one counts."""
    head, at, sizes = data[: 1 << 20], 0, []
    while (at := head.find(b"ispe", at)) >= 0:
        sizes.append(struct.unpack_from(">II", head, at + 8))
        at += 4
    if not sizes:
        return None
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return Picture(width=width, height=height, pixel_bytes=8)


_KINDS = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8\xff", _jpeg),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
    (b"RIFF", _webp),
    (b"BM", _bmp),
)
