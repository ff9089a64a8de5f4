"""Edit lists that ask for what FFmpeg does not do: told, and those that it follows are not."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from media import make_video

from limpid.video import probe
from limpid.video.edits import odd_edits

Edit = tuple[int, int, float]


def with_edits(path: Path, edits: Sequence[Edit], *, version: int = 0) -> Path:
    """The file, whose index lies at its end, with another edit list for its first track: duration in ms, time in the
    media, speed."""
    data = bytearray(path.read_bytes())
    movie = next(_boxes(data, b"moov", 0, len(data)))
    track = next(_boxes(data, b"trak", movie[0] + 8, movie[1]))
    start, stop = next(_boxes(data, b"edts", track[0] + 8, track[1]))
    form = ">QqhH" if version else ">IihH"
    listed = b"".join(struct.pack(form, ms, time, int(rate), int(rate % 1 * 65536)) for ms, time, rate in edits)
    body = struct.pack(">B3xI", version, len(edits)) + listed
    elst = struct.pack(">I4s", 8 + len(body), b"elst") + body
    data[start:stop] = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    for at in (movie[0], track[0]):
        (size,) = struct.unpack_from(">I", data, at)
        struct.pack_into(">I", data, at, size + 8 + len(elst) - (stop - start))
    path.write_bytes(data)
    return path


def _boxes(data: bytearray, kind: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    while start < stop:
        size, found = struct.unpack_from(">I4s", data, start)
        if found == kind:
            yield start, start + size
        start += size


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_video(tmp_path / "in.mp4", frames=50, options={"g": "5"}, audio=True)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ([(1000, 0, 2.0)], "2 times the speed of the picture from 0.0 s on"),
        ([(1000, 0, 1.0), (2000, 12800, 0.5)], "0.5 times the speed of the picture from 1.0 s on"),
        ([(1000, 0, 1.0), (500, 12800, 0.0)], "standing still of the picture from 1.0 s on"),
        ([(1000, 0, 1.0), (500, -1, 1.0), (1000, 12800, 1.0)], "leaves 0.5 s without the picture from 1.0 s on"),
    ],
)
def test_what_is_not_followed_is_told(film: Path, edits: list[Edit], told: str, version: int) -> None:
    (warning,) = probe(with_edits(film, edits, version=version)).warnings
    assert told in warning


@pytest.mark.parametrize(
    "edits",
    [
        [(2000, 0, 1.0)],
        [(500, -1, 1.0), (2000, 0, 1.0)],
        [(1000, 12800, 1.0), (1000, 0, 1.0)],
        [(1000, 0, 1.0), (0, -1, 1.0)],
    ],
    ids=["whole", "late", "turned round", "empty end"],
)
def test_what_is_followed_is_not(film: Path, edits: list[Edit]) -> None:
    assert not probe(with_edits(film, edits)).warnings


def test_nothing_of_it_is_trusted(film: Path, tmp_path: Path) -> None:
    data = bytearray(with_edits(film, [(1000, 0, 2.0)]).read_bytes())
    at = data.index(b"elst")
    struct.pack_into(">I", data, at + 8, 0xFFFFFFFF)
    film.write_bytes(data)
    assert len(list(odd_edits(film))) == 1
    for length in range(at - 30, at + 20):
        (tmp_path / "cut.mp4").write_bytes(data[:length])
        list(odd_edits(tmp_path / "cut.mp4"))
    assert not list(odd_edits(tmp_path / "none.mp4"))
