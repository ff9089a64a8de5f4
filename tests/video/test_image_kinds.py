"""Rare kinds of images: opacity that OpenCV drops or multiplies in, BigTIFF, pages, profiles for other pixels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from media import picture
from passing import pass_through

from limpid.types import InputError
from limpid.video import probe
from limpid.video.headers import picture_of
from limpid.video.images import load_image
from limpid.video.tiff import tiff_of

WIDTH, HEIGHT = 48, 32
OPACITY = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
"""From clear to opaque."""
COLOURS = picture(3, WIDTH, HEIGHT)


def directory(order: str, big: bool, tags: dict[int, tuple[int, int]], after: int) -> bytes:
    """Tags with count and one value, which is a place where the count is larger; and the place of what follows."""
    place, room = ("Q", 8) if big else ("I", 4)
    head = struct.pack(order + ("Q" if big else "H"), len(tags))
    for tag, (count, value) in sorted(tags.items()):
        kind = 4 if tag in (273, 279) else 3
        unit = place if count > room // 2 else "I" if kind == 4 else "H"
        head += struct.pack(f"{order}HH{place}", tag, kind, count) + struct.pack(order + unit, value).ljust(room, b"\0")
    return head + struct.pack(order + place, after)


def tiff(pixels: np.ndarray, *, order: str = "<", big: bool = False, pages: int = 1, **more: int) -> bytes:
    """Plain samples in one strip; ``more``: orientation, extra, photometric, form."""
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    (height, width, samples), bits = pixels.shape, 8 * pixels.itemsize
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    start = 16 if big else 8
    behind = start + len(data)  # bits per sample, as often as there are samples
    few = samples <= (4 if big else 2)
    assert not few or samples == 1 or bits == 8
    packed = struct.pack(f"{order}{samples}H", *[bits] * samples)
    tags = {256: (1, width), 257: (1, height), 259: (1, 1), 273: (1, start), 277: (1, samples), 278: (1, height)}
    tags |= {279: (1, len(data)), 262: (1, more.get("photometric", 2 if samples >= 3 else 1))}
    tags |= {number: (1, more[name]) for name, number in NUMBERS.items() if name in more}
    at, size = behind + len(packed), len(directory(order, big, {**tags, 258: (1, 0)}, 0))
    listed = b"".join(
        with_bits(directory(order, big, {**tags, 258: (samples, behind)}, following), packed, order, big, few)
        for following in [at + page * size if page < pages else 0 for page in range(1, pages + 1)]
    )
    mark = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    return (
        mark + (struct.pack(order + "HHQ", 8, 0, at) if big else struct.pack(order + "I", at)) + data + packed + listed
    )


NUMBERS = {"orientation": 274, "extra": 338, "form": 339}


def with_bits(entries: bytes, packed: bytes, order: str, big: bool, few: bool) -> bytes:
    """The directory with the bits themselves where they fit into their field."""
    if not few:
        return entries
    step, head = (20, 8) if big else (12, 2)
    for at in range(head, len(entries) - step + 1, step):
        if struct.unpack_from(order + "H", entries, at)[0] == 258:
            begin = at + step - (8 if big else 4)
            return entries[:begin] + packed.ljust(8 if big else 4, b"\0") + entries[at + step :]
    return entries


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_under_plain_opacity_are_as_they_were(tmp_path: Path, order: str, dtype: Any) -> None:
    """OpenCV multiplies 8-bit colours with their opacity, and clear pixels become black."""
    scale = 257 if dtype == np.uint16 else 1
    stored = np.dstack([COLOURS, OPACITY]).astype(dtype) * dtype(scale)
    source = saved(tmp_path / "a.tif", tiff(stored, order=order, extra=2))
    passed = pass_through(source, tmp_path / "out.png")
    written = cv2.cvtColor(cv2.imread(str(passed.output), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    assert np.array_equal(written, stored) and passed.said == ()


def test_colours_that_were_multiplied_are_divided(tmp_path: Path) -> None:
    multiplied = np.rint(COLOURS * (OPACITY[..., None] / 255)).astype(np.uint8)
    source = saved(tmp_path / "a.tif", tiff(np.dstack([multiplied, OPACITY]), extra=1))
    pixels = load_image(source, alpha=True, deep=False)
    assert pixels is not None and np.array_equal(pixels[..., 3], OPACITY)
    seen = OPACITY > 100
    assert np.abs(pixels[..., :3].astype(int) - COLOURS)[seen].max() <= 2


def test_grey_with_opacity(tmp_path: Path) -> None:
    grey = COLOURS[..., 1]
    source = saved(tmp_path / "a.tif", tiff(np.dstack([grey, OPACITY]), extra=2))
    pixels = load_image(source, alpha=probe(source).has_alpha, deep=False)
    assert pixels is not None and np.array_equal(pixels, np.dstack([grey, grey, grey, OPACITY]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_tiff_with_opacity(tmp_path: Path, orientation: int) -> None:
    """As OpenCV turns the same picture without opacity."""
    plain = saved(tmp_path / "plain.tif", tiff(COLOURS, orientation=orientation))
    clear = saved(tmp_path / "clear.tif", tiff(np.dstack([COLOURS, OPACITY]), extra=2, orientation=orientation))
    wanted, found = load_image(plain, alpha=False, deep=False), load_image(clear, alpha=True, deep=False)
    assert wanted is not None and found is not None and np.array_equal(found[..., :3], wanted)


def test_four_inks_are_no_opacity(tmp_path: Path) -> None:
    inks = np.dstack([255 - COLOURS, np.zeros_like(OPACITY)])
    source = saved(tmp_path / "a.tif", tiff(inks, photometric=5))
    assert not probe(source).has_alpha
    pixels = load_image(source, alpha=False, deep=False)
    assert pixels is not None and np.abs(pixels.astype(int) - COLOURS).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_bigtiff_is_read(tmp_path: Path, order: str) -> None:
    data = tiff(COLOURS, order=order, big=True)
    header = picture_of(data)
    assert header is not None and (header.width, header.height, header.pixel_bytes) == (WIDTH, HEIGHT, 3)
    pixels = load_image(saved(tmp_path / "a.tif", data), alpha=False, deep=False)
    assert pixels is not None and np.array_equal(pixels, COLOURS)


def test_further_pages_are_told(tmp_path: Path) -> None:
    passed = pass_through(saved(tmp_path / "a.tif", tiff(COLOURS, pages=3)), tmp_path / "out.png")
    assert passed.says("3 pictures", "first")


def test_directories_that_go_round_end(tmp_path: Path) -> None:
    data = bytearray(tiff(COLOURS))
    data[-4:] = data[4:8]  # the first directory follows the first
    found = tiff_of(bytes(data))
    assert found is not None and found.pages == 2


def test_floating_point_is_named(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.tif", tiff((COLOURS / 255).astype(np.float32), form=3))
    with pytest.raises(InputError, match="floating point"):
        probe(source)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def grey_png(levels: np.ndarray, bits: int, *chunks: bytes) -> bytes:
    """Grey levels ``h w`` that have so many bits."""
    height, width = levels.shape
    wide = np.unpackbits(levels.astype(">u2").view(np.uint8).reshape(height, width, 2), axis=2)[..., 16 - bits :]
    rows = b"".join(b"\0" + np.packbits(row.reshape(-1)).tobytes() for row in wide)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_of_which_one_level_is_clear(tmp_path: Path, bits: int) -> None:
    levels = np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) % 2**bits
    data = grey_png(levels, bits, chunk(b"tRNS", struct.pack(">H", 1)))
    clip = probe(saved(tmp_path / "a.png", data))
    assert clip.has_alpha and clip.bit_depth == (16 if bits == 16 else 8)
    pixels = load_image(clip.path, alpha=True, deep=bits == 16)
    top = 65535 if bits == 16 else 255
    assert pixels is not None and np.array_equal(pixels[..., 3], np.where(levels == 1, 0, top))
    assert np.array_equal(pixels[..., 0], levels * top // (2**bits - 1))


@pytest.mark.parametrize("colours", ["GRAY", "CMYK"])
def test_a_profile_for_other_pixels_is_told(tmp_path: Path, colours: str) -> None:
    profile = bytes(16) + colours.encode() + bytes(200)
    data = grey_png(COLOURS[..., 1], 8, chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile)))
    source = saved(tmp_path / "a.png", data)
    for target in ("out.png", "out.mp4"):
        assert pass_through(source, tmp_path / target).says("colour profile", colours)


def test_what_lies_behind_a_jpeg_is_told(tmp_path: Path) -> None:
    """As the gain map of HDR photos: a second JPEG, announced by a segment for several pictures (CIPA DC-007)."""
    data = cv2.imencode(".jpg", COLOURS)[1].tobytes()
    body = b"MPF\0II*\0"
    several = data[:2] + b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body + data[2:] + data
    assert pass_through(saved(tmp_path / "a.jpg", several), tmp_path / "out.png").says("further pictures")
    assert pass_through(saved(tmp_path / "b.jpg", data), tmp_path / "b.png").said == ()


def test_pauses_of_an_animation_are_no_missing_frames(tmp_path: Path) -> None:
    source = tmp_path / "a.gif"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("gif", rate=10, width=64, height=48, pix_fmt="rgb8")
        for number, time in enumerate((0, 1, 2, 3, 4, 9, 10, 11, 12)):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24").reformat(format="rgb8")
            frame.pts = time
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    passed = pass_through(source, tmp_path / "out.mkv")
    assert passed.timeline.num_frames == 9 and not passed.says("missing")
