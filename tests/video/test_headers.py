"""Pictures that unpack to gigabytes are refused by what their header claims (kind J)."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from limpid.types import InputError
from limpid.video import probe
from limpid.video.headers import check_picture, check_size, picture_of


def png(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def jpeg(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
    return b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"


def tiff(width: int, height: int, order: str = "<") -> bytes:
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (277, 3, 1, 3)]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    body = b"".join(
        struct.pack(f"{order}HHI", *entry[:3])
        + (struct.pack(f"{order}HH", entry[3], 0) if entry[1] == 3 else struct.pack(f"{order}I", entry[3]))
        for entry in entries
    )
    return head + body + b"\0" * 16


def webp(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + size + b"\0" * 16


def bmp(width: int, height: int) -> bytes:
    return b"BM" + b"\0" * 12 + struct.pack("<IiiHHIIiiII", 40, width, -height, 1, 24, 0, 0, 0, 0, 0, 0)


def avif(width: int, height: int) -> bytes:
    return b"\0\0\0\x1cftypavif\0\0\0\0mif1avif\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", width, height) + b"\0" * 16


def gif(width: int, height: int) -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HH", width, height)
        + b"\0\0\0,\0\0\0\0"
        + struct.pack("<HH", width, height)
        + b"\0\2\2D\1\0;"
    )


KINDS = {"png": png, "jpg": jpeg, "tif": tiff, "webp": webp, "bmp": bmp, "avif": avif}


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_are_read_from_headers(kind: str) -> None:
    found = picture_of(KINDS[kind](1234, 567))
    assert found is not None and (found.width, found.height) == (1234, 567)


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp", "bmp"])
def test_headers_say_what_opencv_decodes(kind: str) -> None:
    done, data = cv2.imencode(f".{kind}", np.zeros((33, 57, 3), np.uint8))
    found = picture_of(data.tobytes())
    assert done and found is not None and (found.width, found.height) == (57, 33)


@pytest.mark.parametrize("kind", [*KINDS, "gif"])
def test_bombs_are_refused_before_they_are_decoded(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"bomb.{kind}"
    path.write_bytes(gif(60000, 60000) if kind == "gif" else KINDS[kind](16000, 16000))
    with pytest.raises(InputError, match=r"claims|cannot be decoded|not a video|not one frame|missing or damaged"):
        probe(path)


def test_depth_counts(tmp_path: Path) -> None:
    samples = struct.pack("<HHIHH", 277, 3, 1, 3, 0)
    assert check_picture(tmp_path / "x", tiff(16384, 8192))
    with pytest.raises(InputError, match="512 bits"):
        check_picture(tmp_path / "x", tiff(16384, 8192).replace(samples, struct.pack("<HHIHH", 277, 3, 1, 64, 0)))
    check_size("x", 16384, 8192)
    with pytest.raises(InputError, match="million"):
        check_size("x", 16385, 8192)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_orders_of_tiff(order: str) -> None:
    found = picture_of(tiff(300, 200, order))
    assert found is not None and (found.width, found.height) == (300, 200)


@pytest.mark.parametrize(
    "data", [b"", b"P6 30000 30000 255\n", b"\x89PNG\r\n\x1a\n", b"II*\0\xff\xff\xff\xff", b"RIFF", b"BM"]
)
def test_what_is_no_known_image_is_not_decoded(data: bytes, tmp_path: Path) -> None:
    assert not check_picture(tmp_path / "x", data)
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(InputError):
        probe(tmp_path / "x.png")
