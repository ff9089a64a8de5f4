"""Closed captions inside the pictures: each stays with its frame, in every container of H.264 and H.265."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.sidedata.sidedata import Type
from hypothesis import given
from hypothesis import strategies as st
from passing import pass_through

from limpid.types import Window
from limpid.video import assemble, probe, resolve_output, scan
from limpid.video.closed_captions import caption_unit, with_unit
from limpid.video.segments import SegmentWriter
from limpid.video.side_data import side_data_of

CASE = Path(__file__).parent / "cases" / "12_captions.mp4"
"""H.264 with CEA-608 "HELLO!"."""
KEPT = [("h264", "mp4"), ("h264", "mkv"), ("h264", "mov"), ("h265", "mp4"), ("h265", "mkv")]


def captions_of(path: Path) -> list[bytes | None]:
    """What each frame has, in the order in which they are shown."""
    with av.open(str(path)) as container:
        return [side_data_of(frame).get(Type.A53_CC) for frame in container.decode(video=0)]


def pixels_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


@pytest.mark.parametrize(("codec", "extension"), KEPT)
def test_each_frame_keeps_its_own(tmp_path: Path, codec: str, extension: str) -> None:
    passed = pass_through(CASE, tmp_path / f"out.{extension}", codec=codec)
    assert captions_of(passed.output) == captions_of(CASE)
    assert any(captions_of(CASE)) and not passed.says("captions")


@pytest.mark.parametrize("codec", ["ffv1", "av1", "prores"])
def test_codecs_without_a_place_say_so(tmp_path: Path, codec: str) -> None:
    passed = pass_through(CASE, tmp_path / ("out.mov" if codec == "prores" else "out.mkv"), codec=codec)
    assert passed.says("closed captions", "not carried over", codec)


def test_the_pictures_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = pass_through(CASE, tmp_path / "kept.mp4")
    monkeypatch.setattr("limpid.video.mux.CAPTION_CODECS", ())
    left = pass_through(CASE, tmp_path / "left.mp4")
    assert not any(captions_of(left.output))
    assert all(map(np.array_equal, pixels_of(kept.output), pixels_of(left.output)))


def test_a_part_of_the_film_has_its_part(tmp_path: Path) -> None:
    clip = probe(CASE)
    line = scan(clip)
    size = {"width": clip.width, "height": clip.height}
    spec, _ = resolve_output(clip, line, tmp_path / "o.mp4", codec=None, crf=20, bit_depth=None, threads=1, **size)
    with SegmentWriter(tmp_path / "segment", spec) as writer:
        writer.write(torch.zeros(5, clip.height, clip.width, 3, dtype=torch.uint8), line.pts[4:9])
    assemble([tmp_path / "segment"], tmp_path / "o.mp4", spec, clip, line, frames=Window(start=4, stop=9))
    assert captions_of(tmp_path / "o.mp4") == captions_of(CASE)[4:9]


def test_of_two_fields_the_first_has_them(tmp_path: Path) -> None:
    passed = pass_through(CASE, tmp_path / "out.mp4", deinterlace="double")
    assert captions_of(passed.output)[::2] == captions_of(CASE)
    assert not any(captions_of(passed.output)[1::2])


@pytest.mark.parametrize("codec", ["h264", "h265"])
@given(triplets=st.binary(max_size=120))
def test_no_start_code_lies_in_a_unit(codec: str, triplets: bytes) -> None:
    unit = caption_unit(codec, triplets)
    assert b"\0\0\1" not in unit[4:] and b"\0\0\0" not in unit[4:] and b"\0\0\2" not in unit[4:]
    assert b"GA94" in unit


def test_a_unit_comes_before_the_pixels() -> None:
    head, picture, unit = b"\0\0\0\1\x09\xf0\0\0\1\x67abc", b"\0\0\0\1\x65xyz\0\0\1\x41uvw", b"<unit>"
    assert with_unit(head + picture, unit, "h264") == head + unit + picture
    assert with_unit(head, unit, "h264") == head
