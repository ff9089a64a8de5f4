"""The shape of pixels in Matroska files.

FFmpeg writes it from a field that PyAV cannot set. So the video track gets a title with spare room (`reserve`), and
afterwards the room is turned into the display aspect ratio (`set_aspect`), inside the track's entry: no byte outside
the track list changes its place. Element numbers are those of RFC 9559.
"""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

from limpid.types import OutputError

SEGMENT, TRACKS, _ENTRY, _VIDEO = b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\xe0"
_TYPE, _NAME, _CRC, _VOID = b"\x83", b"\x53\x6e", b"\xbf", b"\xec"
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = b"\x54\xb0", b"\x54\xba", b"\x54\xb2"
_ASPECT_RATIO = 3
_ROOM = " " * 40
_HEADER_BYTES = 1 << 20

_Element = tuple[bytes, bytes]


def reserve(title: str) -> str:
    """The title to write so that `set_aspect` finds room; it puts the real one back."""
    return title + _ROOM


def set_aspect(path: Path, aspect: Fraction) -> None:
    """Writes the display aspect ratio (width / height of the picture as shown) into a file made with `reserve`."""
    with path.open("r+b") as file:
        head = file.read(_HEADER_BYTES)
        start, stop = _find(head, [SEGMENT, TRACKS])
        tracks = [_patched(e, aspect) if e[0] == _ENTRY else e for e in elements(head[start:stop]) if e[0] != _CRC]
        body = b"".join(_encode(*element) for element in tracks)
        spare = stop - start - len(body)
        body = _checked(body, spare) if spare >= 6 else body + _void(spare)
        if len(body) != stop - start:
            raise OutputError(f"{path}: the track list changed its length")
        file.seek(start)
        file.write(body)


def _patched(entry: _Element, aspect: Fraction) -> _Element:
    """The entry with the aspect in its video part and its real name; what room is left becomes a void."""
    found = dict(elements(entry[1]))
    if found.get(_TYPE, b"\x00")[-1:] != b"\x01" or not found.get(_NAME, b"").endswith(_ROOM.encode()):
        return entry
    shape = _number(_DISPLAY_WIDTH, aspect.numerator) + _number(_DISPLAY_HEIGHT, aspect.denominator)
    shape += _number(_DISPLAY_UNIT, _ASPECT_RATIO)
    name = found[_NAME][: -len(_ROOM)]
    out = []
    for key, data in elements(entry[1]):
        if key == _NAME and not name:
            continue
        body = name if key == _NAME else _without_shape(data) + shape if key == _VIDEO else data
        out.append(_encode(key, body))
    body = b"".join(out)
    return _ENTRY, body + _void(len(entry[1]) - len(body))


def _without_shape(video: bytes) -> bytes:
    """FFmpeg writes the shape of one view where the picture holds two."""
    own = (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT)
    return b"".join(_encode(key, data) for key, data in elements(video) if key not in own)


def _number(key: bytes, value: int) -> bytes:
    return _encode(key, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _encode(key: bytes, data: bytes) -> bytes:
    length = next(n for n in range(1, 9) if len(data) < (1 << 7 * n) - 1)
    return key + (len(data) | 1 << 7 * length).to_bytes(length, "big") + data


def _void(size: int) -> bytes:
    """An element of exactly ``size`` bytes that means nothing."""
    if size == 0:
        return b""
    if size < 2:
        raise OutputError("one byte cannot be filled in a Matroska header")
    length = 1 if size <= 127 else 8
    data = size - 1 - length
    return _VOID + (data | 1 << 7 * length).to_bytes(length, "big") + bytes(data)


def _checked(body: bytes, spare: int) -> bytes:
    """The body with its checksum in front, as FFmpeg writes it: CRC-32 of all that follows, little endian."""
    body += _void(spare - 6)
    return _encode(_CRC, zlib.crc32(body).to_bytes(4, "little")) + body


def element_header(data: bytes, at: int) -> tuple[bytes, int, int]:
    """(element number, first byte of its data, length of its data)."""
    id_length = 9 - data[at].bit_length()
    first = data[at + id_length]
    size_length = 9 - first.bit_length()
    start = at + id_length + size_length
    size = int.from_bytes(data[at + id_length : start], "big") ^ (1 << 7 * size_length)
    return data[at : at + id_length], start, size


def _find(data: bytes, path: list[bytes]) -> tuple[int, int]:
    at, end = 0, len(data)
    for key in path:
        while at < end:
            found, start, size = element_header(data, at)
            if found == key:
                at, end = start, min(end, start + size)
                break
            at = start + size
        else:
            raise OutputError("the track list of the Matroska file was not found")
    return at, end


def elements(data: bytes) -> list[_Element]:
    """The elements that lie one after the other in ``data``, each with its number and contents."""
    at, out = 0, []
    while at < len(data):
        key, start, size = element_header(data, at)
        out.append((key, data[start : start + size]))
        at = start + size
    return out
