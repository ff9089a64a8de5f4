"""Edit lists of MP4 and QuickTime files (ISO 14496-12, 8.6.6): what they ask for that FFmpeg's demuxer does not do.

It cuts, moves and repeats; it knows one speed, and takes an empty edit after the first picture for the beginning.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from limpid.video.boxes import boxes, inside

_MOST_EDITS = 10_000
_KINDS = {b"vide": "the picture", b"soun": "sound"}


@dataclass(frozen=True, slots=True)
class _Edit:
    start_s: float
    duration_s: float
    media_time: int
    rate: float


def odd_edits(path: Path) -> Iterator[str]:
    """Sentences on edits that are not followed; none for a file that is no MP4 or is damaged."""
    try:
        with path.open("rb") as file:
            yield from _told(file, path.stat().st_size)
    except (OSError, struct.error, IndexError):
        return


def _told(file: BinaryIO, size: int) -> Iterator[str]:
    movie = inside(file, 0, size, b"moov")
    header = movie and inside(file, *movie, b"mvhd")
    if not movie or not header:
        return
    scale = _movie_scale(file, header[0])
    for track in boxes(file, *movie, b"trak"):
        listed, kind = inside(file, *track, b"edts", b"elst"), inside(file, *track, b"mdia", b"hdlr")
        if listed and kind and scale:
            file.seek(kind[0] + 8)
            name = _KINDS.get(file.read(4))
            if name is not None:
                yield from _of_track(name, _edits(file, *listed, scale))


def _of_track(name: str, edits: list[_Edit]) -> Iterator[str]:
    shown = [edit for edit in edits if edit.media_time >= 0]
    fast = next((edit for edit in shown if edit.rate != 1 and edit.duration_s), None)
    if fast is not None:
        asked = f"{fast.rate:g} times the speed" if fast.rate else "standing still"
        yield f"the edit list asks for {asked} of {name} from {fast.start_s:.1f} s on; it is read at its own speed"
    first = next((number for number, edit in enumerate(edits) if edit.media_time >= 0), len(edits))
    gap = next((edit for edit in edits[first:] if edit.media_time < 0 and edit.duration_s), None)
    if gap is not None:
        yield (
            f"the edit list leaves {gap.duration_s:.1f} s without {name} from {gap.start_s:.1f} s on, which FFmpeg "
            "fills from the beginning of the track"
        )


def _edits(file: BinaryIO, start: int, stop: int, scale: int) -> list[_Edit]:
    file.seek(start)
    version, count = struct.unpack(">B3xI", file.read(8))
    form = struct.Struct(">QqhH" if version else ">IihH")
    count = min(count, _MOST_EDITS, (stop - start - 8) // form.size)
    edits, at = [], 0
    for duration, media_time, whole, part in form.iter_unpack(file.read(count * form.size)):
        edits.append(_Edit(at / scale, duration / scale, media_time, whole + part / 65536))
        at += duration
    return edits


def _movie_scale(file: BinaryIO, start: int) -> int:
    file.seek(start)
    version = file.read(1)[0]
    file.seek(start + (20 if version else 12))
    return int(struct.unpack(">I", file.read(4))[0])
