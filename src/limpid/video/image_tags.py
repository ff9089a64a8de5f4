"""Colour profile, EXIF and XMP of images, copied from file to file without touching a pixel.

PNG, JPEG, WebP and TIFF, by their specifications: ISO 15948, ITU-T T.81 with ICC.1 annex B and the Exif standard,
RFC 9649, TIFF 6.0, ISO 16684 for XMP in each of them; HEIC and AVIF are read. Lengths in files are believed only as far
as the file goes.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from limpid.video.directories import DESCRIBING, TagField, read_directory, write_directory, write_fields
from limpid.video.heif import heif_of
from limpid.video.tiff import tiff_of

_FILMS = ("mp4", "mov", "mkv")
_MOST_BYTES = 16 << 20
"""A profile or an EXIF block beyond this is left alone."""
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
_EXIF_HEAD, _ICC_HEAD, _MPF_HEAD = b"Exif\0\0", b"ICC_PROFILE\0", b"MPF\0"
_PNG_XMP, _JPEG_XMP = b"XML:com.adobe.xmp\0", b"http://ns.adobe.com/xap/1.0/\0"
_TIFF_ICC, _TIFF_XMP, _ORIENTATION = 34675, 700, 0x0112
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)[2-8]")


@dataclass(frozen=True, kw_only=True)
class ImageTags:
    """``exif`` is a TIFF block as in every format, ``icc`` a profile, ``png`` colour chunks that only PNG has."""

    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""
    other_profile: str = ""
    """The colours of a profile for other pixels than those that are written, ``GRAY`` or ``CMYK``."""
    png: tuple[tuple[bytes, bytes], ...] = ()


def read_tags(path: Path | str) -> ImageTags:
    """What an image says of its colours and its making; nothing where it cannot be read. Orientation is 1 already:
    pixels are delivered upright."""
    with contextlib.suppress(OSError, struct.error, zlib.error, ValueError, IndexError, cv2.error):
        data = Path(path).read_bytes()
        found = _read(data)
        colours = found.icc[16:20]
        icc = found.icc if colours == b"RGB " and len(found.icc) <= _MOST_BYTES else b""
        other = colours.decode("latin-1").strip() if colours and not icc else ""
        exif = found.exif if len(found.exif) <= _MOST_BYTES else b""
        xmp = _XMP_ORIENTATION.sub(rb"\g<1>1", found.xmp) if len(found.xmp) <= _MOST_BYTES else b""
        return replace(found, icc=icc, exif=_upright(exif), xmp=xmp, other_profile=other)
    return ImageTags()


def exif_orientation(data: bytes) -> int:
    """How the EXIF block of a PNG, JPEG, WebP or AVIF says that the picture is to be turned, 1 to 8; 1: not at all."""
    with contextlib.suppress(struct.error, zlib.error, ValueError, IndexError):
        exif = b"" if data[:4] in (b"II*\0", b"MM\0*") else _read(data).exif
        if exif[:4] in (b"II*\0", b"MM\0*"):
            entries = read_directory(exif, frozenset((_ORIENTATION,)))
            value = int.from_bytes(entries[0].data, "little") if entries else 1
            return value if 1 <= value <= 8 else 1
    return 1


def _read(data: bytes) -> ImageTags:
    if data[:8] == _PNG:
        return _from_png(data)
    if data[:2] == b"\xff\xd8":
        return _from_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        chunks = dict(_riff(data))
        exif = chunks.get(b"EXIF", b"").removeprefix(_EXIF_HEAD)
        return ImageTags(exif=exif, icc=chunks.get(b"ICCP", b""), xmp=chunks.get(b"XMP ", b""))
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _from_tiff(data)
    if data[4:8] == b"ftyp":
        picture = heif_of(io.BytesIO(data), len(data))
        return ImageTags(exif=picture.exif, icc=picture.icc, xmp=picture.xmp)
    return ImageTags()


# -------------------------------------------------------------------------------------------------- reading


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + size]
        at += 12 + size


def _from_png(data: bytes) -> ImageTags:
    exif, icc, xmp, colour = b"", b"", b"", []
    for kind, body in _png_chunks(data):
        if kind == b"eXIf":
            exif = body
        elif kind == b"iCCP":
            _, _, packed = body.partition(b"\0")
            icc = zlib.decompressobj().decompress(packed[1:], _MOST_BYTES)
        elif kind == b"iTXt" and body.startswith(_PNG_XMP):
            xmp = _international_text(body[len(_PNG_XMP) :])
        elif kind in _PNG_COLOUR:
            colour.append((kind, body))
    return ImageTags(exif=exif, icc=icc, xmp=xmp, png=tuple(colour))


def clear_grey(data: bytes) -> int | None:
    """The level of a grey PNG that is clear (its chunk ``tRNS``), which OpenCV passes over."""
    if data[:8] != _PNG or len(data) < 26 or data[25] != 0:
        return None
    with contextlib.suppress(struct.error):
        levels = [body for kind, body in _png_chunks(data) if kind == b"tRNS"]
        return int(struct.unpack(">H", levels[0][:2])[0]) if levels else None
    return None


def further_pictures(data: bytes) -> list[str]:
    """Sentences on pictures of a file beyond its first one: pages of a TIFF, what cameras put behind a JPEG."""
    tiff = tiff_of(data)
    if tiff is not None and tiff.pages > 1:
        return [f"the file holds {tiff.pages} pictures; the first one is taken"]
    with contextlib.suppress(struct.error):
        several = data[:2] == b"\xff\xd8" and any(body.startswith(_MPF_HEAD) for _, body in _jpeg_segments(data))
        return ["the file holds further pictures behind the first one (a gain map, a preview); they are left out"][
            :several
        ]
    return []


def _international_text(body: bytes) -> bytes:
    """The text of an iTXt chunk after its keyword: two flags, a language, a translated keyword, perhaps packed."""
    _, _, rest = body[2:].partition(b"\0")
    text = rest.partition(b"\0")[2]
    return zlib.decompressobj().decompress(text, _MOST_BYTES) if body[0] else text


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and contents of what lies before the pixels."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        size = struct.unpack(">H", data[at + 2 : at + 4])[0]
        yield data[at + 1], data[at + 4 : at + 2 + size]
        at += 2 + size


def _from_jpeg(data: bytes) -> ImageTags:
    exif, xmp, parts = b"", b"", {}
    for mark, body in _jpeg_segments(data):
        if mark == 0xE1 and body.startswith(_EXIF_HEAD):
            exif = body[len(_EXIF_HEAD) :]
        if mark == 0xE1 and body.startswith(_JPEG_XMP):
            xmp = body[len(_JPEG_XMP) :]
        if mark == 0xE2 and body.startswith(_ICC_HEAD):
            parts[body[12]] = body[14:]
    return ImageTags(exif=exif, icc=b"".join(parts[number] for number in sorted(parts)), xmp=xmp)


def _from_tiff(data: bytes) -> ImageTags:
    """EXIF is the first directory itself there, of which that is taken which describes the picture."""
    values = {entry.tag: entry.data for entry in read_directory(data, frozenset((_TIFF_ICC, _TIFF_XMP)))}
    described = read_directory(data, DESCRIBING)
    exif = b"II*\0\x08\0\0\0" + write_directory(described, "<", 8) if described else b""
    return ImageTags(exif=exif, icc=values.get(_TIFF_ICC, b""), xmp=values.get(_TIFF_XMP, b""))


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack("<4sI", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _tiff_entries(data: bytes) -> tuple[str, int, list[tuple[int, int, int, bytes]]]:
    """Byte order, where the first directory begins, and its entries: tag, type, count, the four bytes of the value."""
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack(order + "H", data[start : start + 2])[0]
    entries = [struct.unpack(order + "HHI4s", data[start + 2 + 12 * i : start + 14 + 12 * i]) for i in range(count)]
    return order, start, entries


def _upright(exif: bytes) -> bytes:
    """The block with orientation 1, and without the directory of its thumbnail, which shows the picture as it was."""
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return b""
    try:
        order, start, entries = _tiff_entries(exif)
    except struct.error:
        return b""
    out = bytearray(exif)
    for i, (tag, *_) in enumerate(entries):
        if tag == _ORIENTATION:
            out[start + 2 + 12 * i + 8 : start + 2 + 12 * i + 12] = struct.pack(order + "HH", 1, 0)
    after = start + 2 + 12 * len(entries)
    out[after : after + 4] = bytes(4)
    return bytes(out)


# -------------------------------------------------------------------------------------------------- writing


def with_tags(data: bytes, kind: str, tags: ImageTags) -> bytes:
    """An encoded image (png, jpg, webp, tif) with these tags; `lost_tags` says what its kind cannot hold."""
    if tags == ImageTags():
        return data
    writer = {"png": _to_png, "jpg": _to_jpeg, "webp": _to_webp, "tif": _to_tiff}.get(kind)
    return writer(data, tags) if writer is not None else data


def what_is_lost(tags: ImageTags, kind: str) -> list[str]:
    """Sentences on what an image of this kind cannot hold."""
    lost = []
    if tags.other_profile:
        lost.append(
            f"the colour profile ({tags.other_profile}) is neither kept nor applied, since pixels become RGB: colours "
            "may be a little off; convert the image to sRGB first where that matters"
        )
    if kind in _FILMS:
        if tags.icc or any(name != b"sRGB" for name, _ in tags.png):
            lost.append(f"the images have a colour profile, and {kind} has no place for it: they are taken as sRGB")
        return lost
    if tags.png and not tags.icc and kind != "png" and any(name != b"sRGB" for name, _ in tags.png):
        names = ", ".join(name.decode() for name, _ in tags.png)
        lost.append(f"the colour description of the image ({names}) is not carried over: {kind} has no place for it")
    return lost


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _to_png(data: bytes, tags: ImageTags) -> bytes:
    head = 8 + 25
    added = [_png_chunk(kind, body) for kind, body in tags.png]
    if tags.icc:
        added.append(_png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(tags.icc, 9)))
    if tags.exif:
        added.append(_png_chunk(b"eXIf", tags.exif))
    if tags.xmp:
        added.append(_png_chunk(b"iTXt", _PNG_XMP + bytes(4) + tags.xmp))
    return data[:head] + b"".join(added) + data[head:]


def _to_jpeg(data: bytes, tags: ImageTags) -> bytes:
    at = 2
    if data[2:4] == b"\xff\xe0":
        at += 2 + struct.unpack(">H", data[4:6])[0]
    added = []
    if tags.exif and len(tags.exif) + 8 < 65536:
        added.append((0xE1, _EXIF_HEAD + tags.exif))
    if tags.xmp and len(tags.xmp) + len(_JPEG_XMP) + 2 < 65536:
        added.append((0xE1, _JPEG_XMP + tags.xmp))
    pieces = [tags.icc[i : i + 65000] for i in range(0, len(tags.icc), 65000)]
    if len(pieces) < 256:
        added += [(0xE2, _ICC_HEAD + bytes([i + 1, len(pieces)]) + piece) for i, piece in enumerate(pieces)]
    segments = b"".join(bytes([0xFF, mark]) + struct.pack(">H", len(body) + 2) + body for mark, body in added)
    return data[:at] + segments + data[at:]


def _to_webp(data: bytes, tags: ImageTags) -> bytes:
    chunks = [
        (kind, body) for kind, body in _riff(data) if kind in (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"VP8X")
    ]
    extended = dict(chunks).get(b"VP8X")
    if extended is None:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        alpha = 0x10 if picture.ndim == 3 and picture.shape[2] == 4 else 0
        size = b"".join((side - 1).to_bytes(3, "little") for side in (picture.shape[1], picture.shape[0]))
        extended = bytes([alpha, 0, 0, 0]) + size
    flags = extended[0] | (0x20 if tags.icc else 0) | (0x08 if tags.exif else 0) | (0x04 if tags.xmp else 0)
    parts = [(b"VP8X", bytes([flags]) + extended[1:])]
    parts += [(b"ICCP", tags.icc)] if tags.icc else []
    parts += [(kind, body) for kind, body in chunks if kind != b"VP8X"]
    parts += [(b"EXIF", tags.exif)] if tags.exif else []
    parts += [(b"XMP ", tags.xmp)] if tags.xmp else []
    body = b"".join(kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for kind, part in parts)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _to_tiff(data: bytes, tags: ImageTags) -> bytes:
    """A new first directory at the end of the file, with what the old one says and what is added."""
    order, start, entries = _tiff_entries(data)
    after = start + 2 + 12 * len(entries)
    added = [TagField(tag=_TIFF_ICC, kind=7, data=tags.icc)] if tags.icc else []
    added += [TagField(tag=_TIFF_XMP, kind=1, data=tags.xmp)] if tags.xmp else []
    with contextlib.suppress(struct.error):
        added += read_directory(tags.exif, DESCRIBING) if tags.exif else []
    new = {entry.tag for entry in added}
    data += b"\0" * (len(data) % 2)
    kept = [entry for entry in entries if entry[0] not in new]
    directory = write_fields(added, order, len(data), raw=kept, after=data[after : after + 4])
    return data[:4] + struct.pack(order + "I", len(data)) + data[8:] + directory
