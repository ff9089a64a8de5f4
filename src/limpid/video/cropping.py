"""Which edges of a stored picture its container hides: PixelCrop of Matroska, the clean aperture of MP4 and QuickTime.

FFmpeg's libraries know of them (side data of the stream), PyAV has no way to ask; so the few bytes are read here.
Nothing in the files is trusted: sizes are clamped, the number of elements is bounded, and what makes no sense hides
nothing. Element numbers are those of RFC 9559, boxes those of ISO 14496-12.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from limpid.types import HiddenEdges
from limpid.video.boxes import boxes, inside
from limpid.video.heif import Heif, read_heif
from limpid.video.opening import is_cover

_MOST_ELEMENTS = 20_000
_MOST_BYTES = 16 << 20
_UNKNOWN_SIZE = -1
_SEGMENT, _TRACKS, _ENTRY, _TYPE, _VIDEO, _CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0x83, 0xE0, 0x1F43B675
_WIDTH, _HEIGHT, _SHOWN_WIDTH, _SHOWN_HEIGHT, _UNIT = 0xB0, 0xBA, 0x54B0, 0x54BA, 0x54B2
_BOTTOM, _TOP, _LEFT, _RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """``aspect``: the shape of the pixels that are shown, where the container states it with the crop."""

    crop: HiddenEdges
    aspect: Fraction | None = None

    def fits(self, width: int, height: int) -> bool:
        """Whether anything is left of a picture of this size."""
        left, top, right, bottom = self.crop
        return left + right < width and top + bottom < height


def hidden_edges(container: Any, stream: Any, path: Path) -> Hidden | None:
    """What the container hides of the pictures of a video stream; None when it hides nothing."""
    name = container.format.name
    films = [other for other in container.streams.video if not is_cover(other)]
    try:
        with path.open("rb") as file:
            if "matroska" in name:
                found = _of_matroska(file, films.index(stream))
            else:
                found = _of_mp4(file, stream.id) if "mov" in name else None
                found = found or (_of_picture(read_heif(path)) if "mov" in name else None)
    except (OSError, struct.error, ValueError, ZeroDivisionError, OverflowError):
        return None
    fits = found is not None and all(edge >= 0 for edge in found.crop) and any(found.crop)
    return found if fits else None


# ------------------------------------------------------------------------------------------------ Matroska


def _of_matroska(file: BinaryIO, number: int) -> Hidden | None:
    """Hidden edges of the video track ``number``, counted from 0 in the order of the file."""
    tracks = _matroska_tracks(file)
    entries = [dict(_elements(entry)) for key, entry in _elements(tracks) if key == _ENTRY]
    films = [entry for entry in entries if int.from_bytes(entry.get(_TYPE, b"")[:8], "big") == 1]
    if number >= len(films):
        return None
    video = {
        key: int.from_bytes(data, "big") for key, data in _elements(films[number].get(_VIDEO, b"")) if len(data) <= 8
    }
    crop = HiddenEdges(*(video.get(key, 0) for key in (_LEFT, _TOP, _RIGHT, _BOTTOM)))
    width, height = video.get(_WIDTH, 0) - crop.left - crop.right, video.get(_HEIGHT, 0) - crop.top - crop.bottom
    if width < 1 or height < 1:
        return None
    shown = Fraction(video.get(_SHOWN_WIDTH, width), video.get(_SHOWN_HEIGHT, height))
    # mkvmerge leaves the shape of the whole picture there when it is told to crop: its pixels are square.
    whole = Fraction(video[_WIDTH], video[_HEIGHT])
    stated = video.get(_UNIT, 0) in (0, 1, 2, 3) and shown > 0
    return Hidden(
        crop=crop, aspect=(Fraction(1) if shown == whole else shown * Fraction(height, width)) if stated else None
    )


def _matroska_tracks(file: BinaryIO) -> bytes:
    """The contents of the track list, found from element to element; empty when it is not where it should be."""
    for _ in range(_MOST_ELEMENTS):
        key, size = _element_header(file)
        if key is None:
            return b""
        if key == _TRACKS:
            return file.read(min(max(size, 0), _MOST_BYTES))
        if key == _SEGMENT:
            continue  # its parts follow
        if size == _UNKNOWN_SIZE:
            return b""
        file.seek(size, 1)
    return b""


def _element_header(file: BinaryIO) -> tuple[int | None, int]:
    first = file.read(1)
    if not first or not first[0]:
        return None, 0
    key = int.from_bytes(first + file.read(8 - first[0].bit_length()), "big")
    start = file.read(1)
    if not start or not start[0]:
        return None, 0
    length = 9 - start[0].bit_length()
    value = int.from_bytes(start + file.read(length - 1), "big") ^ (1 << 7 * length)
    return key, _UNKNOWN_SIZE if value == (1 << 7 * length) - 1 else value


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    file = io.BytesIO(data)
    for _ in range(_MOST_ELEMENTS):
        key, size = _element_header(file)
        if key is None or size < 0:
            return
        yield key, file.read(min(size, len(data)))


# ----------------------------------------------------------------------------------------------------- MP4


def _of_mp4(file: BinaryIO, track_id: int) -> Hidden | None:
    file.seek(0, 2)
    end = file.tell()
    for start, stop in boxes(file, 0, end, b"moov"):
        for track in boxes(file, start, stop, b"trak"):
            if _track_id(file, *track) == track_id:
                return _aperture(file, *track)
    return None


def _track_id(file: BinaryIO, start: int, stop: int) -> int | None:
    header = inside(file, start, stop, b"tkhd")
    if header is None:
        return None
    file.seek(header[0])
    version = file.read(1)[0]
    file.seek(header[0] + (20 if version == 1 else 12))
    return int(struct.unpack(">I", file.read(4))[0])


def _aperture(file: BinaryIO, start: int, stop: int) -> Hidden | None:
    """The ``clap`` box of the first sample entry (ISO 14496-12, 12.1.4)."""
    descriptions = inside(file, start, stop, b"mdia", b"minf", b"stbl", b"stsd")
    if descriptions is None:
        return None
    entry, end = descriptions[0] + 8, descriptions[1]
    file.seek(entry + 32)
    width, height = struct.unpack(">HH", file.read(4))
    box = next(boxes(file, entry + 86, end, b"clap"), None)
    if box is None:
        return None
    file.seek(box[0])
    return _by_aperture(width, height, file.read(32))


def _of_picture(picture: Heif) -> Hidden | None:
    """The clean aperture of a HEIC picture, which has sides that its codec cannot have by itself."""
    return _by_aperture(*picture.size, picture.aperture) if picture.aperture else None


def _by_aperture(width: int, height: int, box: bytes) -> Hidden:
    values = struct.unpack(">IIIIiIiI", box[:32])
    w, h, x, y = (Fraction(values[i], values[i + 1]) for i in (0, 2, 4, 6))
    left, top = math.floor((width - w) / 2 + x), math.floor((height - h) / 2 + y)
    return Hidden(crop=HiddenEdges(left, top, width - left - math.floor(w), height - top - math.floor(h)))
