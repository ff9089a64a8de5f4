"""Directories of TIFF 6.0, of which EXIF is made: read as plain values, written anew at any place in any byte order.

What a directory says of where pixels lie is left out: only what describes a picture is taken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

_UNIT_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of one value of each type."""
_SWAPPED_BYTES = {**_UNIT_BYTES, 5: 4, 10: 4}
"""Bytes whose order depends on that of the file."""
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
_INNER = frozenset((EXIF, GPS, INTEROPERABILITY))
DESCRIBING = frozenset((270, 271, 272, 305, 306, 315, 316, 33432, EXIF, GPS))
"""Title, maker, model, software, date, artist, computer, rights."""
_MOST_ENTRIES = 2000
_MOST_VALUE_BYTES = 4 << 20
_DEEPEST = 3


@dataclass(frozen=True, kw_only=True)
class TagField:
    """One field; ``data`` in little-endian order, ``inner`` where it is a directory of its own."""

    tag: int
    kind: int
    data: bytes = b""
    inner: tuple[TagField, ...] = ()


def read_directory(
    block: bytes, tags: frozenset[int] | None = None, *, at: int | None = None, depth: int = 0
) -> list[TagField]:
    """The fields (with these tags) of the directory at ``at``, the first one by default.

    Raises struct.error for what is no directory.
    """
    order = "<" if block[:2] == b"II" else ">"
    start = struct.unpack(order + "I", block[4:8])[0] if at is None else at
    count = min(struct.unpack(order + "H", block[start : start + 2])[0], _MOST_ENTRIES)
    found = []
    for i in range(count):
        tag, kind, length, value = struct.unpack(order + "HHI4s", block[start + 2 + 12 * i : start + 14 + 12 * i])
        if kind not in _UNIT_BYTES or (tags is not None and tag not in tags):
            continue
        if tag in _INNER:
            if depth < _DEEPEST:
                place = struct.unpack(order + "I", value)[0]
                found.append(TagField(tag=tag, kind=4, inner=tuple(read_directory(block, at=place, depth=depth + 1))))
            continue
        size = length * _UNIT_BYTES[kind]
        begin = struct.unpack(order + "I", value)[0]
        data = value[:size] if size <= 4 else block[begin : begin + min(size, _MOST_VALUE_BYTES)]
        if len(data) == size:
            found.append(TagField(tag=tag, kind=kind, data=_little(data, kind, order)))
    return found


def _little(data: bytes, kind: int, order: str) -> bytes:
    """Values of a type from one byte order to little-endian, or back: both are the same."""
    step = _SWAPPED_BYTES[kind]
    if order == "<" or step == 1:
        return data
    return b"".join(data[i : i + step][::-1] for i in range(0, len(data), step))


def write_directory(entries: Iterable[TagField], order: str, base: int) -> bytes:
    """A directory that will lie at ``base``, with its values and inner directories behind it."""
    return write_fields(entries, order, base, raw=[], after=bytes(4))


def write_fields(
    entries: Iterable[TagField], order: str, base: int, *, raw: Iterable[tuple[int, int, int, bytes]], after: bytes
) -> bytes:
    """`write_directory` among fields that are kept as they are: tag, type, count, four bytes; ``after`` ends it."""
    listed: list[tuple[int, int, int, bytes | TagField]] = [*raw]
    listed += [(entry.tag, entry.kind, len(entry.data) // _UNIT_BYTES[entry.kind], entry) for entry in entries]
    listed.sort(key=lambda field: field[0])
    head, tail = struct.pack(order + "H", len(listed)), b""
    behind = base + 2 + 12 * len(listed) + 4
    for tag, kind, count, value in listed:
        if isinstance(value, TagField):
            place = behind + len(tail)
            more = write_directory(value.inner, order, place) if value.inner else _little(value.data, value.kind, order)
            count = 1 if value.inner else count
            if value.inner or len(more) > 4:
                value, tail = struct.pack(order + "I", place), tail + more + b"\0" * (len(more) % 2)
            else:
                value = more.ljust(4, b"\0")
        head += struct.pack(order + "HHI4s", tag, kind, count, value)
    return head + after + tail
