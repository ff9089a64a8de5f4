"""The finished file: sound, subtitles, chapters, attachments and tags of the source, and nothing half-done."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from writing import CONSTANT, UNIT, clip, decode_all, make_source, packets_of, pictures, timeline, write_segments

from limpid.types import OutputError, Timeline, Window
from limpid.video import assemble, count_frames, frame_pts, resolve_output
from limpid.video import mux as mux_module
from limpid.video.subtitles import plain_text


def build(
    folder: Path,
    source: Path,
    name: str,
    *,
    pts: Sequence[int] = CONSTANT,
    unit: Fraction = UNIT,
    part: Window | None = None,
    codec: str | None = None,
    overwrite: bool = False,
) -> tuple[Path, tuple[str, ...]]:
    line: Timeline = timeline(pts, unit=unit, last=pts[1] - pts[0])
    output = folder / name
    spec, _ = resolve_output(
        clip(source), line, output, width=64, height=48, codec=codec, crf=20, bit_depth=8, threads=1
    )
    pieces = folder / f"pieces-{name}"
    pieces.mkdir(exist_ok=True)
    shown = pts[part.start : part.stop] if part else pts
    half = len(shown) // 2
    segments = write_segments(pieces, spec, pictures(len(shown)), shown, (half, len(shown) - half))
    return output, assemble(segments, output, spec, clip(source), line, frames=part, overwrite=overwrite)


@pytest.mark.parametrize("container", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("audio", ["aac", "ac3"])
def test_sound_is_copied_packet_by_packet(tmp_path: Path, container: str, audio: str) -> None:
    source = make_source(tmp_path / "in.mp4", audio=audio)
    output, notes = build(tmp_path, source, f"out.{container}")
    before, after = packets_of(source, "audio"), packets_of(output, "audio")
    assert notes == ()
    assert [data for data, _ in after] == [data for data, _ in before]
    tolerance = Fraction(1, 1000) if container == "mkv" else 0
    assert all(abs(b - a) <= tolerance for (_, a), (_, b) in zip(before, after, strict=True))
    assert frame_pts(output, UNIT) == list(CONSTANT)
    assert len(decode_all(output)) == 12


@pytest.mark.parametrize(
    ("audio", "home", "container"),
    [("pcm_s16le", "mkv", "mp4"), ("libopus", "mkv", "mov"), ("flac", "mkv", "mov")],
)
def test_sound_that_the_container_cannot_hold_becomes_aac_and_it_is_said(
    tmp_path: Path, audio: str, home: str, container: str
) -> None:
    source = make_source(tmp_path / f"in.{home}", audio=audio, count=25)
    output, notes = build(tmp_path, source, f"out.{container}", pts=[512 * i for i in range(25)])
    assert len(notes) == 1
    assert "re-encoded" in notes[0]
    assert "AAC" in notes[0]
    with av.open(str(output)) as file:
        assert file.streams.audio[0].codec_context.name == "aac"
        frames = list(file.decode(audio=0))
    assert abs(float(sum(f.samples for f in frames)) / 48000 - 1.0) < 0.05
    assert abs(float(frames[0].pts * frames[0].time_base)) < 0.03


@pytest.mark.parametrize(("audio", "container"), [("libopus", "mkv"), ("libopus", "mp4"), ("flac", "mkv")])
def test_sound_that_fits_is_never_touched(tmp_path: Path, audio: str, container: str) -> None:
    source = make_source(tmp_path / "in.mkv", audio=audio)
    output, notes = build(tmp_path, source, f"out.{container}")
    assert notes == ()
    assert [d for d, _ in packets_of(output, "audio")] == [d for d, _ in packets_of(source, "audio")]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_preview_starts_at_zero_with_its_own_sound(tmp_path: Path, container: str) -> None:
    source = make_source(tmp_path / "in.mp4", count=50)
    pts = [512 * i for i in range(50)]
    output, _ = build(tmp_path, source, f"out.{container}", pts=pts, part=Window(start=25, stop=45))
    assert frame_pts(output, UNIT) == [512 * i for i in range(20)]
    sound = packets_of(output, "audio")
    assert Fraction(0) <= sound[0][1] < Fraction(25, 1000)
    assert sound[-1][1] < Fraction(20, 25)
    original = packets_of(source, "audio")
    start = [d for d, _ in original].index(sound[0][0])
    assert [d for d, _ in original[start : start + len(sound)]] == [d for d, _ in sound]
    assert abs(original[start][1] - 1 - sound[0][1]) <= Fraction(1, 1000)


def test_pictures_that_start_late_stay_late(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in.mp4")
    for name in ("o.mp4", "o.mkv", "o.mov"):
        output, notes = build(tmp_path, source, name, pts=[p + 3 * 512 for p in CONSTANT])
        assert notes == ()
        assert frame_pts(output, UNIT)[0] == 3 * 512
        assert packets_of(output, "audio")[1][1] == 0


def test_times_before_zero_move_everything(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in.mp4", audio="ac3")
    output, notes = build(tmp_path, source, "o.mp4", pts=[p - 640 for p in CONSTANT])
    assert "starts at 0" in notes[0]
    assert frame_pts(output, UNIT) == list(CONSTANT)
    assert packets_of(output, "audio")[0][1] == Fraction(640, 12800) + packets_of(source, "audio")[0][1]


def test_a_broadcast_clock_starts_at_zero_and_it_is_said(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in.ts", audio="mp2", container="mpegts", first_pts=50)
    with av.open(str(source)) as file:
        unit = Fraction(file.streams.video[0].time_base)
    pts = frame_pts(source)
    first_sound = packets_of(source, "audio")[0][1]
    output, notes = build(tmp_path, source, "o.mp4", pts=pts, unit=unit)
    assert "start at 2." in notes[0] or "start at 1.9" in notes[0]
    moved = pts[0] * unit - frame_pts(output, unit)[0] * unit
    assert moved > 1
    assert frame_pts(output, unit)[0] >= 0
    assert abs(packets_of(output, "audio")[0][1] - (first_sound - moved)) < Fraction(1, 10000)


@pytest.fixture
def rich(tmp_path: Path) -> Path:
    """A Matroska file with sound, two subtitles, chapters, a font, a cover and tags."""
    plain = make_source(tmp_path / "plain.mp4", count=50)
    path = tmp_path / "rich.mkv"
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0], opaque=True)
        sound = out.add_stream_from_template(source.streams.audio[0])
        sound.metadata["language"], sound.metadata["title"] = "fra", "Commentary"
        sound.disposition = av.stream.Disposition.comment
        words = out.add_mux_stream("subrip")
        words.metadata["language"] = "deu"
        out.add_attachment("font.ttf", "font/ttf", b"not really a font")
        out.set_chapters(
            [
                {"id": 1, "start": 0, "end": 1000, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
                {"id": 2, "start": 1000, "end": 2000, "time_base": Fraction(1, 1000), "metadata": {"title": "Two"}},
            ]
        )
        out.metadata["title"], out.metadata["artist"], out.metadata["weather"] = "A title", "Somebody", "fine"
        packets = [(p.dts * Fraction(p.time_base), p) for p in source.demux() if p.size]
        for _, packet in packets:
            packet.stream = video if packet.stream.type == "video" else sound
        for start, text in ((200, "Hello\nthere"), (1500, "<i>Bye</i>")):
            packet = av.Packet(text.encode())
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = 300, Fraction(1, 1000), words
            packets.append((Fraction(start, 1000), packet))
        for _, packet in sorted(packets, key=lambda item: item[0]):
            out.mux(packet)
    return path


@pytest.mark.parametrize("container", ["mkv", "mp4", "mov"])
def test_everything_else_of_the_source_comes_along(tmp_path: Path, rich: Path, container: str) -> None:
    pts = [512 * i for i in range(50)]
    output, notes = build(tmp_path, rich, f"o.{container}", pts=pts)
    said = " | ".join(notes)
    with av.open(str(output)) as file:
        (sound,), (words,) = file.streams.audio, list(file.streams.subtitles)
        assert sound.metadata["language"] == "fra"
        assert sound.disposition & av.stream.Disposition.comment or container != "mkv"
        assert words.metadata["language"] == ("ger" if container == "mov" else "deu")
        titles = [(c["metadata"]["title"], c["start"] * c["time_base"]) for c in file.chapters()]
        assert titles == [("One", 0), ("Two", 1)]
        assert file.metadata["title"] == "A title"
        tags = {k.lower(): v for k, v in file.metadata.items()}
        assert ("weather" in tags) == (container == "mkv")
        attached = [(s.name, s.data) for s in file.streams.attachments]
    assert attached == ([("font.ttf", b"not really a font")] if container == "mkv" else [])
    assert ("font.ttf" in said) == (container != "mkv")
    assert ("weather" in said.lower()) == (container != "mkv")
    assert ("mov_text" in said) == (container != "mkv")
    assert [d for d, _ in packets_of(output, "audio")] == [d for d, _ in packets_of(rich, "audio")]
    shown = [(t, d) for d, t in packets_of(output, "subtitle") if len(d) > 2]
    assert [t for t, _ in shown] == [t for _, t in packets_of(rich, "subtitle")]
    assert shown[0][1].endswith(b"Hello\nthere")
    assert b"Bye" in shown[1][1]


def test_a_preview_cuts_chapters_and_subtitles(tmp_path: Path, rich: Path) -> None:
    pts = [512 * i for i in range(50)]
    output, _ = build(tmp_path, rich, "o.mkv", pts=pts, part=Window(start=10, stop=30))
    with av.open(str(output)) as file:
        chapters = [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in file.chapters()]
    assert chapters == [(0, Fraction(3, 5)), (Fraction(3, 5), Fraction(4, 5))]
    assert [(t, d) for d, t in packets_of(output, "subtitle")] == [(Fraction(0), b"Hello\nthere")]


def test_mov_text_goes_back_to_subrip(tmp_path: Path, rich: Path) -> None:
    pts = [512 * i for i in range(50)]
    first, _ = build(tmp_path, rich, "a.mp4", pts=pts)
    second, notes = build(tmp_path, first, "b.mkv", pts=pts)
    assert any("subrip" in note for note in notes)
    assert packets_of(second, "subtitle")[0] == packets_of(rich, "subtitle")[0]


def test_subtitle_markup_is_removed() -> None:
    assert plain_text(r"0,0,Default,,0,0,0,,{\i1}A{\i0}, b\Nc") == "A, b\nc"
    assert plain_text("just text") == "just text"


def test_other_videos_of_the_file_are_named_not_the_restored_one(tmp_path: Path) -> None:
    from limpid.video import probe, scan

    path, output = tmp_path / "two.mp4", tmp_path / "o.mp4"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("libx264", rate=25, width=w, height=w, pix_fmt="yuv420p") for w in (32, 64)]
        streams[1].disposition = av.stream.Disposition.default
        for i in range(8):
            for stream in streams:
                frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
                frame.pts, frame.time_base = i, Fraction(1, 25)
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    source = probe(path)
    assert source.width == 64
    line = scan(source, detect_cuts=False)
    spec, _ = resolve_output(source, line, output, width=64, height=48, codec=None, crf=20, bit_depth=8, threads=1)
    notes = assemble(write_segments(tmp_path, spec, pictures(8), line.pts, (8,)), output, spec, source, line)
    assert notes == ("video stream 0 is not carried over: only the main video is restored",)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_covers_come_along(tmp_path: Path, container: str) -> None:
    plain = make_source(tmp_path / "plain.mp4")
    path = tmp_path / "in.mp4"
    cover = _jpeg()
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0], opaque=True)
        art = out.add_mux_stream("mjpeg", width=16, height=16)
        art.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(cover)
        packet.stream, packet.pts, packet.dts = art, 0, 0
        packet.time_base = Fraction(1, 90000)
        out.mux(packet)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                out.mux(packet)
    output, notes = build(tmp_path, path, f"o.{container}")
    assert notes == ()
    assert count_frames(output) == 12
    with av.open(str(output)) as file:
        pictures_attached = [s for s in file.streams.video if s.disposition & av.stream.Disposition.attached_pic]
        assert len(pictures_attached) == 1
        assert [bytes(p) for p in file.demux(pictures_attached[0]) if p.size] == [cover]


def _jpeg() -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 16, 16, "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame(16, 16, "yuvj420p")
    frame.pts = 0
    return b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)])


def test_an_existing_output_is_kept_unless_asked(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in.mp4", audio=None)
    (tmp_path / "o.mp4").write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"):
        build(tmp_path, source, "o.mp4")
    assert (tmp_path / "o.mp4").read_bytes() == b"precious"
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "o.mp4").write_bytes(b"precious")
    output, _ = build(tmp_path / "again", source, "o.mp4", overwrite=True)
    assert count_frames(output) == 12


def test_an_output_that_appears_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_source(tmp_path / "in.mp4", audio=None)
    monkeypatch.setattr(mux_module, "check_spec", lambda *args, **kwargs: None)
    (tmp_path / "o.mp4").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        build(tmp_path, source, "o.mp4")
    assert (tmp_path / "o.mp4").read_bytes() == b"precious"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("where", ["publish", "verify_file", "joined_packets"])
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left"), "disk is full"),
        (PermissionError(errno.EACCES, "denied"), "no permission"),
        (av.error.ArgumentError(22, "Invalid argument"), "Invalid argument"),
        (KeyboardInterrupt(), None),
    ],
)
def test_failures_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException, says: str | None
) -> None:
    source = make_source(tmp_path / "in.mp4")

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(mux_module, where, fail)
    with pytest.raises(OutputError if says else KeyboardInterrupt, match=says):
        build(tmp_path, source, "o.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "pieces-o.mp4"]


def test_a_disk_that_fills_up_while_muxing_is_said(tmp_path: Path) -> None:
    import resource

    source = make_source(tmp_path / "in.mkv", audio="pcm_s16le", count=100)  # 0.8 MB of sound
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            build(tmp_path, source, "o.mkv", pts=[512 * i for i in range(100)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mkv", "pieces-o.mkv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_is_said(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in.mp4", audio=None)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    line = timeline()
    spec, _ = resolve_output(
        clip(source), line, locked / "o.mp4", width=64, height=48, codec=None, crf=20, bit_depth=8, threads=1
    )
    with pytest.raises(OutputError, match="no permission"):
        assemble([tmp_path / "x"], locked / "o.mp4", spec, clip(source), line)


def test_a_frame_shown_at_another_time_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check after writing is a real one: a stamp that is off by a tick stops the run."""
    from limpid.video import join

    source = make_source(tmp_path / "in.mp4", audio=None)
    exact = join._stamp

    def sloppy(packet: av.Packet, index: int, *rest: object) -> None:
        exact(packet, index, *rest)  # type: ignore[arg-type]
        packet.pts += index == 11

    monkeypatch.setattr(join, "_stamp", sloppy)
    with pytest.raises(OutputError, match="frame 11 is shown at"):
        build(tmp_path, source, "o.mp4")
    assert not (tmp_path / "o.mp4").exists()


@pytest.mark.parametrize("container", ["mp4", "mkv", "mov"])
def test_the_same_segments_give_the_same_bytes(tmp_path: Path, container: str) -> None:
    source = make_source(tmp_path / "in.mp4")
    a, _ = build(tmp_path, source, f"a.{container}")
    b, _ = build(tmp_path, source, f"b.{container}")
    assert a.read_bytes() == b.read_bytes()


def test_sample_aspect_and_colour_tags_are_in_the_file(tmp_path: Path) -> None:
    from limpid.types import ColorTags

    source = make_source(tmp_path / "in.mp4", audio=None)
    tags = ColorTags(primaries=9, transfer=16, matrix=9, full_range=True)
    described = clip(source, sample_aspect=Fraction(16, 15), color=tags)
    line = timeline()
    for codec, name in (
        ("av1", "f.mkv"),
        ("h264", "g.mkv"),
        ("prores", "h.mkv"),
        ("h264", "a.mp4"),
        ("h265", "b.mkv"),
        ("av1", "c.mp4"),
        ("prores", "d.mov"),
        ("ffv1", "e.mkv"),
    ):
        output = tmp_path / name
        spec, _ = resolve_output(
            described, line, output, width=64, height=48, codec=codec, crf=20, bit_depth=None, threads=1
        )
        pieces = tmp_path / f"pieces-{name}"
        pieces.mkdir()
        assemble(write_segments(pieces, spec, pictures(12), CONSTANT, (12,)), output, spec, described, line)
        with av.open(str(output)) as file:
            context = file.streams.video[0].codec_context
            assert file.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
            assert "title" not in file.streams.video[0].metadata
            assert (context.color_primaries, context.color_trc) == (9, 16)
            assert context.colorspace == (0 if codec == "ffv1" else 9)
            assert context.color_range == (1 if codec == "prores" else 2)


def test_image_folders_are_numbered_on_and_replaced_only_if_ours(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in.mp4")
    output, _ = build(tmp_path, source, "frames")
    assert [p.name for p in sorted(output.iterdir())] == [f"{n:08d}.png" for n in range(12)]
    again = tmp_path / "again"
    (again / "frames").mkdir(parents=True)
    (again / "frames" / "00000000.png").write_bytes(b"old")
    with pytest.raises(OutputError, match="--overwrite"):
        build(again, source, "frames")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "frames").mkdir()
    (tmp_path / "more" / "frames" / "00000099.png").write_bytes(b"old")
    output, _ = build(tmp_path / "more", source, "frames", part=Window(start=3, stop=9), overwrite=True)
    assert [p.name for p in sorted(output.iterdir())] == [f"{n:08d}.png" for n in range(3, 9)]
    assert sorted(p.name for p in (tmp_path / "more").iterdir()) == ["frames", "pieces-frames"]


def test_sound_is_said_to_be_lost_in_image_folders(tmp_path: Path) -> None:
    from limpid.types import SideStream

    line, output = timeline(CONSTANT[:2]), tmp_path / "frames"
    described = clip("none", side_streams=(SideStream(index=1, kind="audio", codec="aac"),))
    spec, _ = resolve_output(described, line, output, width=64, height=48, codec=None, crf=20, bit_depth=8, threads=1)
    segments = write_segments(tmp_path, replace(spec), pictures(2), CONSTANT[:2], (2,))
    notes = assemble(segments, output, spec, described, line)
    assert "audio stream 1" in notes[0]


def test_progress_counts_every_frame(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in.mp4")
    line, seen = timeline(), []
    for name in ("o.mp4", "frames"):
        spec, _ = resolve_output(
            clip(source), line, tmp_path / name, width=64, height=48, codec=None, crf=20, bit_depth=8, threads=1
        )
        pieces = tmp_path / f"p{name}"
        pieces.mkdir()
        segments = write_segments(pieces, spec, pictures(12), CONSTANT, (6, 6))
        assemble(segments, tmp_path / name, spec, clip(source), line, on_progress=seen.append)
    assert seen == [*range(1, 13), 6, 12]
