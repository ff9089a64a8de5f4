"""One image in, one image out; folders of images keep their names; profile, EXIF, depth and transparency are kept."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from media import image_folder, picture, write_image
from passing import pass_through

from limpid.types import InputError, OutputError
from limpid.video import natural_key, probe, scan
from limpid.video.image_tags import ImageTags, read_tags, what_is_lost, with_tags
from limpid.video.opening import choose_video
from limpid.video.stills import can_write

CASES = Path(__file__).parent / "cases"
ICC = bytes(16) + b"RGB " + bytes(range(200)) * 400
EXIF = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
"""Orientation 6: turn by 90 degrees clockwise."""


def test_a_profile_is_kept(tmp_path: Path) -> None:
    """32x32, a profile with red and green exchanged."""
    passed = pass_through(CASES / "15_icc.png", tmp_path / "out.png")
    assert read_tags(passed.output).icc == read_tags(CASES / "15_icc.png").icc != b""
    before, after = (cv2.imread(str(path)) for path in (CASES / "15_icc.png", passed.output))
    assert np.array_equal(before, after)


def test_a_film_of_images_with_a_profile_says_so(tmp_path: Path) -> None:
    assert pass_through(CASES / "15_icc.png", tmp_path / "out.mp4").says("colour profile", "sRGB")


@pytest.mark.skipif(not can_write("avif"), reason="this OpenCV has no AVIF")
def test_a_grid_of_avif_is_put_together() -> None:
    """`avifenc --grid 2x1`: left red, right blue."""
    clip = probe(CASES / "18_grid_2x1.avif")
    assert (clip.kind, clip.width, clip.height) == ("images", 256, 128)


def test_a_grid_that_only_ffmpeg_reads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.video.probing.probe_image", lambda *_: None)
    monkeypatch.setattr("limpid.video.probing.is_image_name", lambda _: False)
    with pytest.raises(InputError, match="tiles"):
        probe(CASES / "18_grid_2x1.avif")


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif"])
def test_tags_change_no_pixel(kind: str) -> None:
    data = cv2.imencode(f".{kind}", picture(3))[1].tobytes()
    tagged = with_tags(data, kind, ImageTags(icc=ICC, exif=EXIF.replace(b"\x06\0", b"\x01\0")))
    before, after = (cv2.imdecode(np.frombuffer(d, np.uint8), cv2.IMREAD_COLOR_BGR) for d in (data, tagged))
    assert np.array_equal(before, after)


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif"])
def test_what_is_read_is_what_was_written(tmp_path: Path, kind: str) -> None:
    data = cv2.imencode(f".{kind}", picture(3))[1].tobytes()
    path = tmp_path / f"x.{kind}"
    path.write_bytes(with_tags(data, kind, ImageTags(icc=ICC, exif=EXIF)))
    found = read_tags(path)
    assert found.icc == ICC
    if kind == "tif":
        assert found.exif == b"" and what_is_lost(ImageTags(exif=EXIF), "tif") == []  # nothing but the orientation
    else:
        assert found.exif[:4] == b"II*\0"
        assert struct.unpack("<H", found.exif[18:20])[0] == 1  # the pixels are upright already


@pytest.mark.parametrize(
    "junk", [b"", b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffiCCP", b"\xff\xd8\xff\xe1\xff\xff", b"II*\0\xff\xff\xff\xff"]
)
def test_damaged_tags_are_no_tags(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "x").write_bytes(junk)
    assert read_tags(tmp_path / "x") == ImageTags()


def test_a_turned_photo_comes_out_upright_once(tmp_path: Path) -> None:
    data = cv2.imencode(".jpg", picture(0, 64, 48))[1].tobytes()
    (tmp_path / "in.jpg").write_bytes(
        data[:2] + b"\xff\xe1" + struct.pack(">H", len(EXIF) + 8) + b"Exif\0\0" + EXIF + data[2:]
    )
    passed = pass_through(tmp_path / "in.jpg", tmp_path / "out.jpg")
    clip = probe(passed.output)
    assert (clip.width, clip.height) == (48, 64)
    assert read_tags(passed.output).exif


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_sixteen_bits_and_transparency(tmp_path: Path, extension: str) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (32, 40, 4), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "in.png"), deep)
    passed = pass_through(tmp_path / "in.png", tmp_path / f"out.{extension}")
    assert np.array_equal(cv2.imread(str(passed.output), cv2.IMREAD_UNCHANGED), deep)


def test_many_frames_do_not_fit_into_one_image(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="give a folder"):
        pass_through(image_folder(tmp_path / "f", frames=3), tmp_path / "out.png")


def test_a_folder_keeps_its_names(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("f1.png", "f2.png", "f10.png"):
        write_image(tmp_path / "in" / name, picture(1))
    passed = pass_through(tmp_path / "in", tmp_path / "out")
    assert sorted(path.name for path in passed.output.iterdir()) == ["f1.png", "f10.png", "f2.png"]
    assert passed.said == ()


def test_a_film_of_images_is_limited_420(tmp_path: Path) -> None:
    passed = pass_through(image_folder(tmp_path / "in", frames=3), tmp_path / "out.mp4")
    with av.open(str(passed.output)) as container:
        frame = next(container.decode(video=0))
        assert (frame.format.name, frame.color_range) == ("yuv420p", 1)


def test_exr_and_tga_become_png(tmp_path: Path) -> None:
    path = tmp_path / "a.tga"
    with av.open(str(path), "w", format="image2") as out:
        stream = out.add_stream("targa", rate=1, width=64, height=48, pix_fmt="bgr24")
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
        out.mux(stream.encode(None))
    passed = pass_through(path, tmp_path / "out.png")
    assert np.array_equal(cv2.imread(str(passed.output))[..., ::-1], picture(0))


def test_names_with_superscripts_are_sorted() -> None:
    names = [Path("12²34.mp4"), Path("2.mp4"), Path("10.mp4"), Path("².mp4")]
    assert [path.name for path in sorted(names, key=natural_key)][:2] == ["2.mp4", "10.mp4"]


def test_choosing_among_video_streams(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("libx264", rate=25, width=w, height=48, pix_fmt="yuv420p") for w in (64, 32)]
        for stream in streams:
            for index in range(3):
                frame = av.VideoFrame.from_ndarray(picture(index, stream.width, 48), format="rgb24").reformat(
                    format="yuv420p"
                )
                frame.pts = index
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    assert probe(path).width == 64 and any("2 video streams" in text for text in probe(path).warnings)
    clip = probe(path, video_stream=1)
    assert (clip.width, clip.warnings) == (32, ())
    assert scan(clip).num_frames == 3
    with av.open(str(path)) as container:
        assert choose_video(container, path, 1).width == 32
    with pytest.raises(ValueError, match="no such video stream; there is 0, 1"):
        probe(path, video_stream=7)
