"""Files that are several recordings one after the other (`cat a.flv b.flv`): what is read of them and what is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from limpid.video.boxes import named_boxes
from limpid.video.decode import DecodeStats
from limpid.video.matroska import SEGMENT, TRACKS, element_header, elements

_FLV_MARK = b"FLV\x01"
_FLV_ROOM = 64
"""Bytes after the last packet of a recording in which the next one begins."""
_ENTRY, _CODEC, _PRIVATE = b"\xae", b"\x86", b"\x63\xa2"
_MOST_PARTS, _TRACKS_WITHIN_BYTES = 100, 1 << 20
_INTERLEAVED = frozenset({"mpegts", "mpeg"})
_MOST_HOLE, _MOST_HOLE_BYTES = 0.02, 100_000
"""What may lie between two packets of a broadcast, or after the last one: tables, stuffing, small things of others."""


def told_parts(path: Path, container: str, codecs: Sequence[str], stats: DecodeStats) -> Iterator[str]:
    """Sentences on a file that was read to its end. ``codecs`` of the video, in order; ``container``: FFmpeg's name."""
    if len(codecs) > 1:
        yield f"the video changes its codec on the way ({', then '.join(codecs)}); all parts are read"
    rest = _unread_recording(path, container, stats.end_byte)
    if rest is not None:
        yield (
            f"after {stats.video_end_s:.1f} s the file goes on as another recording ({rest}), which FFmpeg does not "
            "read: only what comes before is restored; join the parts with FFmpeg's concat instead"
        )
    if container.startswith("matroska") and _matroska_differs(path):
        yield (
            "the file is several Matroska files one after the other, and their streams differ; FFmpeg reads all as if "
            "they were those of the first, so that later parts come out damaged: join them with FFmpeg's concat instead"
        )
    size = path.stat().st_size
    hole = max(stats.hole_bytes, size - stats.end_byte)
    if container in _INTERLEAVED and hole > max(_MOST_HOLE_BYTES, _MOST_HOLE * size):
        yield (
            f"{100 * hole / size:.0f} % of the file, in one piece, belong to streams that its beginning does not name "
            "(another programme, joined recordings); they are not read"
        )


def _unread_recording(path: Path, container: str, end_byte: int) -> str | None:
    """What the rest of the file is that FFmpeg passes over, in a few words; None where there is no such rest."""
    if container == "flv" and _flv_goes_on(path, end_byte):
        return "joined FLV files"
    if "mov" in container and _mp4_goes_on(path):
        return "joined MP4 files"
    return None


def _matroska_differs(path: Path) -> bool:
    """Whether a later segment announces another codec, or the same one set up otherwise, than the first."""
    with path.open("rb") as file:
        try:
            first, *later = _matroska_parts(file, path.stat().st_size)
        except (IndexError, ValueError):
            return False
    return any(part != first for part in later if part)


def _matroska_parts(file: BinaryIO, size: int) -> list[list[tuple[bytes, bytes]]]:
    """Codec and configuration of all tracks, for every segment at the top of a file."""
    parts: list[list[tuple[bytes, bytes]]] = []
    at = 0
    while at < size and len(parts) < _MOST_PARTS:
        file.seek(at)
        key, start, length = element_header(file.read(12), 0)
        if key == SEGMENT:
            file.seek(at + start)
            parts.append(_matroska_tracks(file.read(min(length, _TRACKS_WITHIN_BYTES))))
        at += start + length
    return parts


def _matroska_tracks(head: bytes) -> list[tuple[bytes, bytes]]:
    at = 0
    while at < len(head):
        key, start, length = element_header(head, at)
        if key == TRACKS:
            listed = elements(head[start : start + length])
            tracks = [dict(elements(entry)) for key, entry in listed if key == _ENTRY]
            return [(track.get(_CODEC, b""), track.get(_PRIVATE, b"")) for track in tracks]
        at = start + length
    return []


def _flv_goes_on(path: Path, end_byte: int) -> bool:
    with path.open("rb") as file:
        file.seek(max(1, end_byte - _FLV_ROOM))
        return _FLV_MARK in file.read(2 * _FLV_ROOM)


def _mp4_goes_on(path: Path) -> bool:
    """Whether a second file begins where the first one, with its index, is complete."""
    with path.open("rb") as file:
        kinds = [kind for kind, _, _ in named_boxes(file, 0, path.stat().st_size) if kind in (b"ftyp", b"moov")]
    return kinds.count(b"ftyp") > 1 and kinds.count(b"moov") > 1
