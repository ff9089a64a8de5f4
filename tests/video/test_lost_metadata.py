"""A sentence for every kind of metadata that is lost: messages put into H.265 streams here, and boxes of MP4."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from av.sidedata.sidedata import Type
from media import make_video
from passing import pass_through

from limpid.video import probe, scan
from limpid.video.extras import LOST

T35, TIME_CODE, AMBIENT = 4, 136, 148
"""Kinds of messages (ITU-T H.265, annex D)."""
START = b"\0\0\0\1"
PREFIX_SEI = 39


def bits(*fields: tuple[int, int]) -> bytes:
    """Values with their lengths in bits, one after the other; a one and zeros fill the last byte."""
    text = "".join(format(value, f"0{length}b") for value, length in fields) + "1"
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def unit(kind: int, body: bytes) -> bytes:
    """A unit of a stream, with the bytes that keep start codes out of it."""
    safe = bytearray()
    for byte in body:
        if safe[-2:] == b"\0\0" and byte <= 3:
            safe.append(3)
        safe.append(byte)
    return START + bytes([kind << 1, 1]) + bytes(safe)


def message(kind: int, payload: bytes) -> bytes:
    return unit(PREFIX_SEI, bytes([kind, len(payload)]) + payload + b"\x80")


CAPTIONS = message(T35, b"\xb5\0\x31GA94\x03\x41\xff\xfc\x94\x2c\xff")
HDR10_PLUS = message(
    T35,
    b"\xb5\0\x3c\0\x01\x04\x01"
    + bits((1, 2), (400, 27), (0, 1), *[(1000, 17)] * 4, (0, 4), (0, 10), (0, 1), (0, 1), (0, 1)),
)
TIME = message(TIME_CODE, bits((1, 2), (1, 1), (0, 1), (0, 5), (1, 1), (0, 2), (7, 9), (3, 6), (2, 6), (1, 5), (0, 5)))
LIGHT = message(AMBIENT, struct.pack(">IHH", 3140000, 15635, 16450))


def stream_with(folder: Path, before: bytes) -> Path:
    """A raw H.265 stream with something before every picture."""
    source = make_video(folder / "plain.hevc", codec="libx265", width=64, height=64, frames=3)
    units = [b"\0\0\1" + part.rstrip(b"\0") for part in source.read_bytes().split(b"\0\0\1")[1:]]
    pictures = (part[3] >> 1 < 32 for part in units)
    path = folder / "in.hevc"
    path.write_bytes(b"".join(before + part if shown else part for part, shown in zip(units, pictures, strict=True)))
    return path


@pytest.mark.parametrize(
    ("before", "words"),
    [(HDR10_PLUS, "HDR10+"), (TIME, "SMPTE 12M"), (LIGHT, "ambient viewing")],
    ids=["hdr10+", "time codes", "ambient"],
)
@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out"], ids=["mp4", "mkv", "images"])
def test_what_is_lost_is_told(tmp_path: Path, before: bytes, words: str, target: str) -> None:
    passed = pass_through(stream_with(tmp_path, before), tmp_path / target)
    assert passed.timeline.num_frames == 3
    assert passed.says(words, "not carried over")


def test_captions_are_kept_in_films_and_told_of_images(tmp_path: Path) -> None:
    source = stream_with(tmp_path, CAPTIONS)
    assert pass_through(source, tmp_path / "out").says("closed captions", "not carried over")
    assert not pass_through(source, tmp_path / "out.mp4").says("not carried over")


def test_a_stream_without_any_of_it_says_nothing(tmp_path: Path) -> None:
    assert not pass_through(stream_with(tmp_path, b""), tmp_path / "out.mp4").says("not carried over")


@pytest.mark.parametrize("kind", LOST, ids=lambda kind: kind.name)
def test_every_kind_that_a_decoder_attaches_has_its_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Type
) -> None:
    """Also those of which no stream can be made here, as Dolby Vision."""
    monkeypatch.setattr("limpid.video.scanning.kinds_of", lambda _: [kind])
    assert LOST[kind] in scan(probe(make_video(tmp_path / "a.mkv", frames=2)), detect_cuts=False).warnings


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


EQUIRECTANGULAR = box(
    b"sv3d",
    box(b"svhd", bytes(4), b"me\0"),
    box(b"proj", box(b"prhd", bytes(16)), box(b"equi", bytes(20))),
)


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize(
    ("added", "words"),
    [(EQUIRECTANGULAR, "spherical"), (box(b"st3d", bytes(4), b"\x01"), "top_bottom")],
    ids=["spherical", "stereo"],
)
def test_shapes_of_the_picture_in_mp4(tmp_path: Path, added: bytes, words: str, target: str) -> None:
    """Boxes at the end of the only sample entry; Matroska has a place for stereo."""
    source = make_video(tmp_path / "in.mp4", frames=3)
    data = bytearray(source.read_bytes())
    entry = data.index(b"stsd") + 12
    end = entry + struct.unpack(">I", data[entry : entry + 4])[0]
    kinds = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    for at in [entry, *(data.index(kind) - 4 for kind in kinds)]:
        data[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + len(added))
    source.write_bytes(bytes(data[:end]) + added + bytes(data[end:]))
    passed = pass_through(source, tmp_path / target)
    if words == "spherical" or target.endswith("mp4"):
        assert passed.says(words, "not carried over")
    else:
        assert passed.said == () and passed.spec.extras.stereo == words
