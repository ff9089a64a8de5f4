"""The timeline: every shown frame with its time, the shots, and what is damaged."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import media
import numpy as np
import psutil
import pytest

from limpid.types import Clip, InputError, SettingsError, Timeline, Window
from limpid.video import FrameReader, probe, scan
from limpid.video.cuts import CutDetector


def _stamps(clip: Clip, timeline: Timeline) -> list[int]:
    with FrameReader(clip, timeline) as reader:
        return [media.read_stamp(frame.pixels) for frame in reader.read(Window(start=0, stop=timeline.num_frames))]


CODECS = {
    "h264.mp4": {"codec": "libx264"},
    "h264_bframes.mkv": {"codec": "libx264", "options": {"x264-params": "bframes=5:b-adapt=0:b-pyramid=normal"}},
    "hevc.mp4": {"codec": "libx265"},
    "hevc.mkv": {"codec": "libx265", "pix_fmt": "yuv420p10le"},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"lag-in-frames": "8", "auto-alt-ref": "1"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"svtav1-params": "lp=1"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "h264.ts": {"codec": "libx264"},
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "ffv1.mkv": {"codec": "ffv1", "pix_fmt": "yuv422p"},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "flv1.flv": {"codec": "flv1"},
    "wmv2.wmv": {"codec": "wmv2"},
    "mpeg2.mxf": {"codec": "mpeg2video"},
    "gif.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "raw.264": {"codec": "libx264", "format": "h264"},
    "raw.265": {"codec": "libx265", "format": "hevc"},
    "huffyuv.avi": {"codec": "huffyuv", "pix_fmt": "yuv422p"},
    "qtrle.mov": {"codec": "qtrle", "pix_fmt": "rgb24"},
}


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("frames", [1, 25])
def test_every_frame_of_every_codec_once_and_in_order(tmp_path: Path, name: str, frames: int) -> None:
    clip = probe(media.make_video(tmp_path / name, frames=frames, **CODECS[name]))
    timeline = scan(clip)
    assert _stamps(clip, timeline) == list(range(frames))
    assert all(a < b for a, b in pairwise(timeline.pts))
    if frames > 1:  # nothing tells the rate of a single frame in some containers
        interval = 1 / (clip.fps * clip.time_base)
        assert all(abs(b - a - interval) <= 1 for a, b in pairwise(timeline.pts))
        assert abs(timeline.last_duration - interval) <= 1
    assert not timeline.damaged
    assert all("no timestamps" in text for text in timeline.warnings)
    assert timeline.shots() == [(0, frames)]


def test_b_frames_in_avi_get_their_times_in_the_order_of_showing(tmp_path: Path) -> None:
    clip = probe(media.make_video(tmp_path / "a.avi", frames=25))
    timeline = scan(clip)
    assert _stamps(clip, timeline) == list(range(25))
    assert {b - a for a, b in pairwise(timeline.pts)} == {1}
    assert not timeline.damaged
    assert not timeline.seekable


def test_odd_sizes(tmp_path: Path) -> None:
    clip = probe(media.make_video(tmp_path / "a.mkv", codec="ffv1", width=63, height=47))
    assert (clip.width, clip.height) == (63, 47)
    assert _stamps(clip, scan(clip)) == list(range(12))


ODD_FORMATS = ("yuyv422", "uyvy422", "nv12", "yuv411p", "yuv410p", "rgb565le", "ya8", "gray16le", "yuv420p10le", "bgra")


@pytest.mark.parametrize("pix_fmt", ODD_FORMATS)
@pytest.mark.parametrize("deinterlace", ["off", "on"])
def test_odd_pixel_formats(tmp_path: Path, pix_fmt: str, deinterlace: str) -> None:
    channels = 4 if pix_fmt in ("ya8", "bgra") else 3
    path = media.make_video(
        tmp_path / "a.nut", codec="rawvideo", pix_fmt=pix_fmt, draw=lambda i: media.picture(i, channels=channels)
    )
    clip = probe(path)
    timeline = scan(clip)
    with FrameReader(clip, timeline, deinterlace=deinterlace) as reader:
        frames = reader.read(Window(start=0, stop=12))
    assert frames[0].pixels.shape == (48, 64, channels)
    if deinterlace == "off":
        assert [media.read_stamp(frame.pixels) for frame in frames] == list(range(12))


def test_sizes_too_small_to_deinterlace_pass(tmp_path: Path) -> None:
    path = media.make_video(
        tmp_path / "a.nut", codec="rawvideo", width=5, height=3, draw=lambda i: np.zeros((3, 5, 3), np.uint8)
    )
    clip = probe(path)
    with FrameReader(clip, scan(clip), deinterlace="on") as reader:
        assert len(reader.read(Window(start=0, stop=12))) == 12


@pytest.mark.parametrize("hidden", [1, 5, 23])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_frames_hidden_by_an_edit_list_are_not_shown(tmp_path: Path, hidden: int, codec: str) -> None:
    clip = probe(media.hidden_frames_mp4(tmp_path / "a.mp4", hidden=hidden, codec=codec))
    timeline = scan(clip)
    assert _stamps(clip, timeline) == list(range(hidden, 24))
    assert timeline.warnings == ()
    assert timeline.pts[0] == 0


def test_variable_frame_rate_keeps_every_time(tmp_path: Path) -> None:
    pts = [0, 40, 90, 100, 200, 230, 260, 500, 520, 540, 560, 900]
    path = media.make_video(tmp_path / "a.mkv", pts=pts, time_base=Fraction(1, 1000))
    timeline = scan(probe(path))
    assert [int(time * timeline.time_base * 1000) for time in timeline.pts] == pts
    assert timeline.warnings == ()


def test_raw_stream_gets_times_from_the_rate(tmp_path: Path) -> None:
    path = media.make_video(tmp_path / "a.264", format="h264")
    timeline = scan(probe(path, fps=Fraction(24000, 1001)))
    assert timeline.pts == tuple(range(12))
    assert timeline.time_base == Fraction(1001, 24000)
    assert not timeline.seekable


def test_joined_recordings_go_on_after_the_clock_starts_again(tmp_path: Path) -> None:
    data = media.make_video(tmp_path / "a.ts", frames=10).read_bytes()
    (tmp_path / "b.ts").write_bytes(data * 2)
    clip = probe(tmp_path / "b.ts")
    timeline = scan(clip)
    assert _stamps(clip, timeline) == [*range(10), *range(10)]
    assert {b - a for a, b in pairwise(timeline.pts)} == {3600}
    assert timeline.clock_shifts == (10 * 3600,)
    assert any("starts again 1 time" in text for text in timeline.warnings)


def _joined(tmp_path: Path, codec: str, *formats: str) -> Path:
    """Recordings of 5 frames each, one after the other in one file."""
    made = [media.make_video(tmp_path / f"{i}.ts", codec=codec, frames=5, pix_fmt=f) for i, f in enumerate(formats)]
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(path.read_bytes() for path in made))
    return whole


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_bits_that_are_not_used_are_told(tmp_path: Path, codec: str) -> None:
    timeline = scan(probe(_joined(tmp_path, codec, "yuv420p", "yuv420p10le")))
    told = [text for text in timeline.warnings if "bits" in text]
    assert told == ["5 frames with more than the 8 bits per channel of the first; all are read with 8 bits"]


@pytest.mark.parametrize("formats", [["yuv420p10le", "yuv420p"], ["yuv420p", "yuv420p"], ["yuv420p10le"] * 2])
def test_where_no_bits_are_lost_nothing_is_said(tmp_path: Path, formats: list[str]) -> None:
    clip = probe(_joined(tmp_path, "libx265", *formats))
    timeline = scan(clip)
    assert not any("bits" in text or "transparency" in text for text in timeline.warnings)
    assert _stamps(clip, timeline) == [*range(5), *range(5)]


def test_transparency_that_is_not_used_is_told(tmp_path: Path) -> None:
    """A clip whose probing saw no transparency, as where only its first frame has none."""
    clip = probe(media.make_video(tmp_path / "a.mkv", codec="ffv1", frames=5, pix_fmt="yuva420p"))
    assert not any("transparency" in text for text in scan(clip).warnings)
    told = [text for text in scan(replace(clip, has_alpha=False)).warnings if "transparency" in text]
    assert told == ["5 frames with transparency, which the first lacks; it is left out"]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("a.mp4", {"options": {"x264-params": "tff=1"}}),
        ("b.mpg", {"codec": "mpeg2video", "options": {"flags": "+ilme+ildct"}}),
    ],
)
def test_interlaced_is_found_and_said(tmp_path: Path, name: str, more: dict) -> None:
    clip = probe(media.make_video(tmp_path / name, draw=lambda i: media.weave(i, 64, 48), **more))
    timeline = scan(clip)
    assert timeline.interlaced
    assert "is deinterlaced" in timeline.warnings[0]
    assert "combing" in scan(clip, deinterlace="off").warnings[0]
    assert scan(clip, deinterlace="on").interlaced


def test_progressive_is_not_interlaced(tmp_path: Path) -> None:
    assert not scan(probe(media.make_video(tmp_path / "a.mp4"))).interlaced


def test_unknown_deinterlace_is_refused(tmp_path: Path) -> None:
    clip = probe(media.make_video(tmp_path / "a.mp4", frames=1))
    with pytest.raises(SettingsError, match="--deinterlace bob"):
        scan(clip, deinterlace="bob")


def test_progress_counts_frames(tmp_path: Path) -> None:
    seen: list[int] = []
    scan(probe(media.make_video(tmp_path / "a.mp4")), on_progress=seen.append)
    assert seen == list(range(1, 13))


# -------------------------------------------------------------------------------------------- damage


def test_truncated_mp4_uses_what_is_there_and_counts_the_loss(tmp_path: Path) -> None:
    whole = media.make_video(tmp_path / "w.mp4", frames=48, container_options={"movflags": "faststart"})
    clip = probe(media.truncate(whole, tmp_path / "a.mp4", 0.6))
    timeline = scan(clip)
    assert 5 <= timeline.num_frames < 48
    assert _stamps(clip, timeline)[:5] == [0, 1, 2, 3, 4]
    assert any("cut off" in text and "of 48 frames" in text for text in timeline.warnings)


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_truncated_mkv_and_avi_report_the_loss(tmp_path: Path, suffix: str) -> None:
    whole = media.make_video(tmp_path / f"w{suffix}", frames=100, codec="mpeg4")
    clip = probe(media.truncate(whole, tmp_path / f"a{suffix}", 0.5))
    timeline = scan(clip)
    assert 20 <= timeline.num_frames < 80
    assert any("missing" in text for text in timeline.warnings)
    assert _stamps(clip, timeline) == list(range(timeline.num_frames))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.264"])
@pytest.mark.parametrize("seed", range(3))
def test_damaged_streams_read_the_same_every_time(tmp_path: Path, name: str, seed: int) -> None:
    options = {"x264-params": "keyint=20"}
    whole = media.make_video(
        tmp_path / f"w{name[1:]}", frames=60, options=options, format="h264" if "264" in name else None
    )
    path = media.damage(whole, tmp_path / name, start=0.3 + 0.1 * seed, length=200, seed=seed)
    clip = probe(path)
    timeline = scan(clip)
    assert scan(clip) == timeline
    assert timeline.num_frames > 10
    frames = []
    for _ in range(2):
        with FrameReader(clip, timeline) as reader:
            frames.append([frame.pixels for frame in reader.read(Window(start=0, stop=timeline.num_frames))])
    assert all(np.array_equal(a, b) for a, b in zip(*frames, strict=True))
    assert not (timeline.damaged and timeline.seekable)


def test_lost_cluster_is_reported_as_a_gap(tmp_path: Path) -> None:
    whole = media.make_video(tmp_path / "w.mkv", frames=100, options={"x264-params": "keyint=10"})
    timeline = scan(probe(media.damage(whole, tmp_path / "a.mkv", start=0.4, length=300)))
    assert timeline.num_frames < 100
    assert not timeline.seekable
    assert any("missing in" in text for text in timeline.warnings)


def test_nothing_decodable_after_probe_is_an_error(tmp_path: Path) -> None:
    clip = probe(media.make_video(tmp_path / "a.mp4"))
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(InputError, match="no such file"):
        scan(clip)


# ---------------------------------------------------------------------------------------------- cuts


def test_cuts_are_found_at_the_exact_frame(tmp_path: Path) -> None:
    cuts = [20, 45, 70]
    path = media.make_video(tmp_path / "a.mp4", frames=100, draw=lambda i: media.shot_picture(i, 64, 48, cuts))
    assert scan(probe(path)).cuts == (0, 20, 45, 70)
    assert scan(probe(path), detect_cuts=False).cuts == (0,)


def test_flashes_are_not_cuts() -> None:
    detector = CutDetector(Fraction(25))
    for i in range(80):
        small = media.shot_picture(i, 64, 48, [50])
        detector.push(np.full_like(small, 255) if i in (20, 21) else small)
    assert detector.finish() == (0, 50)


def test_short_shots_are_joined_with_the_one_before() -> None:
    detector = CutDetector(Fraction(25))
    for i in range(80):
        detector.push(media.shot_picture(i, 64, 48, [30, 34]))
    cuts = detector.finish()
    assert len(cuts) == 2
    assert cuts[1] in (30, 34)


def test_fast_motion_is_not_a_cut() -> None:
    wide = media.shot_picture(0, 1200, 48, [])
    detector = CutDetector(Fraction(25))
    for i in range(80):
        detector.push(np.ascontiguousarray(wide[:, 12 * i : 12 * i + 64]))
    assert detector.finish() == (0,)


# -------------------------------------------------------------------------------------------- memory


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """40 times the frames may cost some bytes per frame, not pictures (each is 115 kB here)."""

    def peak(frames: int) -> int:
        path = media.make_video(
            tmp_path / f"{frames}.mkv", codec="mpeg4", width=320, height=240, frames=frames,
            draw=lambda i: pictures[i % 4],
        )  # fmt: skip
        clip, process, most = probe(path), psutil.Process(os.getpid()), 0

        def watch(count: int) -> None:
            nonlocal most
            if count % 20 == 0:
                most = max(most, process.memory_info().rss)

        timeline = scan(clip, on_progress=watch)
        with FrameReader(clip, timeline) as reader:
            for start in range(0, frames, 8):
                reader.read(Window(start=max(0, start - 2), stop=min(frames, start + 8)))
                watch(0)
        return most

    pictures = [media.picture(i, 320, 240) for i in range(4)]
    peak(40)
    assert peak(800) - peak(40) < 20 * 2**20


# ----------------------------------------------------------------------------------------- real clips


def _real_clips() -> list[Path]:
    folder = Path(__file__).resolve().parents[3] / "shared" / "clips"
    return sorted(path for path in folder.iterdir() if path.suffix != ".csv") if folder.is_dir() else []


EXPECTED = {"lr_nasa_320x180.mp4": 390, "hr_tearsofsteel_long_800x332.webm": 1691, "lr_bottle_640x360_long.mp4": 1189}
LARGE = ("hr_",)


@pytest.mark.skipif(not _real_clips(), reason="the real clips are not beside this checkout (../shared/clips)")
@pytest.mark.parametrize("path", _real_clips(), ids=lambda path: path.name)
def test_real_clips(path: Path) -> None:
    clip = probe(path)
    if path.name.startswith(LARGE) or "long" in path.name:
        timeline = _short_timeline(clip)
    else:
        timeline = scan(clip)
        assert timeline.num_frames == EXPECTED.get(path.name, clip.num_frames or timeline.num_frames)
        assert not timeline.damaged
    with FrameReader(clip, timeline) as reader:
        stop = min(6, timeline.num_frames)
        frames = reader.read(Window(start=stop - 3, stop=stop))
    assert [frame.index for frame in frames] == list(range(stop - 3, stop))
    assert all(frame.pixels.shape == (clip.height, clip.width, 3) for frame in frames)
    assert frames[0].pixels.std() > 1


def _short_timeline(clip: Clip) -> Timeline:
    """The first frames' times without a scan of the whole of a large file, to keep the tests quick."""
    with av.open(clip.path) as container:
        frames = container.decode(container.streams.best("video"))
        pts = [frame.pts for frame, _ in zip(frames, range(6), strict=False)]
    known = tuple(i if time is None else time for i, time in enumerate(pts))
    return Timeline(pts=known, time_base=clip.time_base, cuts=(0,), last_duration=1)
