"""What probe says of many kinds of files, and which it refuses with one sentence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import media
import numpy as np
import pytest

from limpid.types import Clip, InputError, SettingsError
from limpid.video import probe


def test_what_is_known_of_a_plain_file(tmp_path: Path) -> None:
    rate = Fraction(24000, 1001)
    path = media.make_video(tmp_path / "a.mp4", fps=rate, audio=True, subtitles=True, metadata={"title": "Lake"})
    clip = probe(path)
    assert (clip.width, clip.height, clip.fps, clip.codec, clip.pix_fmt) == (64, 48, rate, "h264", "yuv420p")
    assert (clip.bit_depth, clip.num_frames, clip.kind, clip.has_alpha) == (8, 12, "video", False)
    assert [(side.kind, side.codec) for side in clip.side_streams] == [("audio", "aac"), ("subtitle", "mov_text")]
    assert clip.metadata["title"] == "Lake"
    assert clip.duration_s == pytest.approx(12 / rate, abs=0.01)
    assert clip.size_bytes == path.stat().st_size
    assert clip.warnings == ()


def test_rotation_swaps_the_size_and_the_sample_aspect(tmp_path: Path) -> None:
    clip = probe(media.make_video(tmp_path / "a.mp4", rotation=90, sample_aspect=Fraction(16, 15)))
    assert (clip.width, clip.height, clip.rotation, clip.mirrored) == (48, 64, 90, False)
    assert clip.sample_aspect == Fraction(15, 16)


def test_sample_aspect_is_kept(tmp_path: Path) -> None:
    clip = probe(media.make_video(tmp_path / "a.mkv", sample_aspect=Fraction(16, 15)))
    assert (clip.width, clip.height, clip.sample_aspect) == (64, 48, Fraction(16, 15))


@pytest.mark.parametrize(("height", "matrix"), [(48, 6), (576, 6), (578, 1)])
def test_unspecified_matrix_is_decided_by_height(tmp_path: Path, height: int, matrix: int) -> None:
    clip = probe(media.make_video(tmp_path / "a.mkv", codec="ffv1", width=32, height=height, frames=1))
    assert (clip.color.matrix, clip.color.full_range, clip.color.primaries) == (matrix, False, 2)


def test_colour_tags_are_kept(tmp_path: Path) -> None:
    tags = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}
    clip = probe(media.make_video(tmp_path / "a.mp4", codec="libx265", pix_fmt="yuv420p10le", tags=tags))
    color = clip.color
    assert (color.primaries, color.transfer, color.matrix, color.full_range) == (9, 16, 9, False)
    assert clip.bit_depth == 10


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "full_range", "matrix"),
    [("libx264rgb", "rgb24", True, 0), ("ffv1", "gray", True, 6), ("mjpeg", "yuvj420p", True, 5)],
)
def test_range_of_formats_without_a_tag(
    tmp_path: Path, codec: str, pix_fmt: str, full_range: bool, matrix: int
) -> None:
    clip = probe(media.make_video(tmp_path / "a.mkv", codec=codec, pix_fmt=pix_fmt))
    assert (clip.color.full_range, clip.color.matrix) == (full_range, matrix)


@pytest.mark.parametrize("suffix", ["264", "265"])
def test_raw_streams_count_time_in_frames(tmp_path: Path, suffix: str) -> None:
    codec, name = {"264": ("libx264", "h264"), "265": ("libx265", "hevc")}[suffix]
    path = media.make_video(tmp_path / f"a.{suffix}", codec=codec, format=name)
    clip = probe(path)
    assert clip.time_base == 1 / clip.fps
    assert "no timestamps" in clip.warnings[0]
    told = probe(path, fps=Fraction(30000, 1001))
    assert (told.fps, told.time_base, told.warnings) == (Fraction(30000, 1001), Fraction(1001, 30000), ())


def test_fps_for_a_file_with_timestamps_is_said_to_have_no_effect(tmp_path: Path) -> None:
    clip = probe(media.make_video(tmp_path / "a.mp4"), fps=Fraction(50))
    assert clip.fps == 25
    assert "no effect" in clip.warnings[0]


def test_impossible_fps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--fps 0"):
        probe(tmp_path, fps=Fraction(0))


@pytest.mark.parametrize(("codec", "options"), [("libvpx-vp9", {}), ("libvpx", {"auto-alt-ref": "0"})])
def test_webm_alpha_is_found(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    clip = probe(media.make_video(tmp_path / "a.webm", codec=codec, pix_fmt="yuva420p", options=options))
    assert clip.has_alpha


def test_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    with_cover = _mp4_with_cover(tmp_path, with_film=True)
    clip = probe(with_cover)
    assert (clip.width, clip.height, clip.codec) == (64, 48, "h264")
    assert [side.kind for side in clip.side_streams] == ["audio", "video"]
    with pytest.raises(InputError, match=r"has no video \(only a cover picture"):
        probe(_mp4_with_cover(tmp_path, with_film=False))


def _mp4_with_cover(folder: Path, *, with_film: bool) -> Path:
    film, path = media.make_video(folder / "film.mp4", audio=True), folder / f"cover_{with_film}.mp4"
    png = media.write_image(folder / "cover.png", media.picture(0, 320, 240))
    with av.open(str(film)) as source, av.open(str(png)) as cover, av.open(str(path), "w") as out:
        kept = [stream for stream in source.streams if with_film or stream.type == "audio"]
        targets = {stream.index: out.add_stream_from_template(stream) for stream in kept}
        picture = out.add_stream_from_template(cover.streams.video[0])
        picture.disposition = av.stream.Disposition.attached_pic
        for packet in source.demux(kept):
            if packet.dts is not None:
                packet.stream = targets[packet.stream_index]
                out.mux(packet)
        packet = next(cover.demux(video=0))
        packet.stream = picture
        out.mux(packet)
    return path


def test_best_of_two_video_streams_is_named(tmp_path: Path) -> None:
    small = media.make_video(tmp_path / "s.mp4", width=32, height=32)
    large = media.make_video(tmp_path / "l.mp4", width=64, height=48)
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out, av.open(str(small)) as a, av.open(str(large)) as b:
        streams = [out.add_stream_from_template(source.streams.video[0]) for source in (a, b)]
        for source, stream in zip((a, b), streams, strict=True):
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
    clip = probe(path)
    assert "2 video streams" in clip.warnings[0]
    assert [side.kind for side in clip.side_streams] == ["video"]


def test_importing_the_package_is_cheap_and_names_are_listed() -> None:
    import limpid.video

    assert {"probe", "scan", "FrameReader", "to_tensor", "alpha_of"} <= set(dir(limpid.video))
    assert callable(limpid.video.probe)
    assert callable(limpid.video.scan)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = limpid.video.nothing_like_it


# ------------------------------------------------------------------------------------------ bad input


def _text(path: Path) -> Path:
    path.write_text("not a video\n" * 200)
    return path


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _audio_only(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_text("x")
    return path


BAD = {
    "missing": (lambda d: d / "nope.mp4", "there is no such file"),
    "empty": (lambda d: _bytes(d / "a.mp4", b""), "the file is empty"),
    "text named mp4": (lambda d: _text(d / "a.mp4"), "is not a video"),
    "text named txt": (lambda d: _text(d / "a.txt"), "is not a video"),
    "text named png": (lambda d: _text(d / "a.png"), "is not a video|cannot be decoded"),
    "noise": (lambda d: _bytes(d / "a.mkv", np.random.default_rng(1).bytes(9000)), "is not a video"),
    "subtitles": (lambda d: _bytes(d / "a.srt", b"1\n00:00:00,000 --> 00:00:01,000\nhi\n"), "has no video"),
    "audio only": (lambda d: _audio_only(d / "a.m4a"), "has no video .*audio"),
    "mp4 without moov": (lambda d: media.truncate(media.make_video(d / "w.mp4"), d / "a.mp4", 0.5), "'moov' part"),
    "mp4 head alone": (lambda d: _bytes(d / "a.mp4", media.make_video(d / "w.mp4").read_bytes()[:40]), "'moov' part"),
    "mkv head alone": (
        lambda d: _bytes(d / "a.mkv", media.make_video(d / "w.mkv").read_bytes()[:300]),
        "is not a video|not one frame|has no video",
    ),
    "broken png": (lambda d: _bytes(d / "a.png", b"\x89PNG\r\n\x1a\n" + bytes(99)), "the image cannot be decoded"),
    "broken jpg": (lambda d: _bytes(d / "a.jpg", b"\xff\xd8\xff\xe0" + bytes(99)), "the image cannot be decoded"),
    "truncated jpg": (
        lambda d: media.truncate(media.write_image(d / "w.jpg", media.picture(0)), d / "a.jpg", 0.6),
        "the image cannot be decoded",
    ),
    "folder without images": (lambda d: _folder(d / "f", "notes.txt"), "holds no images"),
    "empty folder": (lambda d: _folder(d / "f"), "holds no images"),
    "folder of broken images": (lambda d: _folder(d / "f", "1.png", "2.png"), "none of its 2 images can be read"),
    "device": (lambda d: Path("/dev/null"), "a device or a pipe"),
    "mixed sizes": (
        lambda d: media.write_image(media.image_folder(d / "f") / "z.png", media.picture(0, 32, 32)).parent,
        "differ in size: frame_0.png is 64x48, z.png is 32x32",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_with_one_sentence(tmp_path: Path, kind: str) -> None:
    build, sentence = BAD[kind]
    path = build(tmp_path)
    with pytest.raises(InputError, match=sentence) as caught:
        probe(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert "Traceback" not in text


def test_no_permission_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = media.make_video(tmp_path / "a.mp4")

    def refuse(self: Path, *args: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="no permission"):
        probe(path)


def test_unusual_names_open(tmp_path: Path) -> None:
    for name in ("a b:c.mp4", "ünïcode ✓.mp4", "per%03dcent.mp4", "-dash.mp4", "http:--x.mp4"):
        plain = media.make_video(tmp_path / "plain.mp4", frames=2)
        assert isinstance(probe(plain.rename(tmp_path / name)), Clip)
