"""Videos and rare pictures whose headers claim absurd sizes are refused from the header alone (J)."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from media import make_video

from limpid.types import InputError
from limpid.video import probe, scan

MOST_BYTES = 64 << 20


def y4m(path: Path) -> None:
    path.write_bytes(b"YUV4MPEG2 W60000 H60000 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(5000))


def pgm(path: Path) -> None:
    path.write_bytes(b"P5\n60000 60000\n255\n" + bytes(5000))


def pam(path: Path) -> None:
    head = b"P7\nWIDTH 50000\nHEIGHT 50000\nDEPTH 4\nMAXVAL 65535\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    path.write_bytes(head + bytes(5000))


def qoi(path: Path) -> None:
    path.write_bytes(b"qoif" + struct.pack(">IIBB", 60000, 60000, 4, 0) + b"\xfd" * 5000 + bytes(7) + b"\1")


def tga(path: Path) -> None:
    path.write_bytes(struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 65535, 65535, 32, 0) + b"\xff" * 5000)


def dpx(path: Path) -> None:
    head = bytearray(2048)
    head[:4] = b"SDPX"
    struct.pack_into(">I", head, 4, 2048)
    struct.pack_into(">II", head, 772, 60000, 60000)
    head[800:804] = bytes((50, 2, 2, 10))
    path.write_bytes(bytes(head) + bytes(5000))


def avi(path: Path) -> None:
    """Uncompressed; both headers of its size."""
    make_video(path, codec="rawvideo", pix_fmt="bgr24", frames=2)
    data = bytearray(path.read_bytes())
    at = data.index(b"strf") + 12
    struct.pack_into("<ii", data, at, 60000, 60000)
    path.write_bytes(bytes(data))


def mkv(path: Path) -> None:
    """FFV1, whose container says the size: 0xB0 and 0xBA, two bytes each."""
    make_video(path, codec="ffv1", pix_fmt="bgr0", width=320, height=256, frames=2)
    data = path.read_bytes()
    for key, size in ((b"\xb0", 320), (b"\xba", 256)):
        data = data.replace(key + b"\x82" + struct.pack(">H", size), key + b"\x82" + struct.pack(">H", 65000), 1)
    path.write_bytes(data)


@pytest.mark.parametrize("make", [y4m, pgm, pam, qoi, tga, dpx, avi, mkv])
def test_absurd_sizes_are_refused_from_the_header(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / f"in.{make.__name__}"
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            scan(probe(path))
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
