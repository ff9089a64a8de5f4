"""Random windows against one sequential pass: the same pixels, whatever the order of calls."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import media
import numpy as np
import pytest

from limpid.types import Clip, InputError, Timeline, Window
from limpid.video import FrameReader, probe, scan, scanning
from limpid.video import decode as decode_module

FRAMES = 75
SEEKABLE: dict[str, dict[str, Any]] = {
    "h264.mp4": {"options": {"x264-params": "keyint=10:min-keyint=10:scenecut=0"}},
    "h264_open_gop.mkv": {"options": {"x264-params": "keyint=12:min-keyint=4:open-gop=1:bframes=3:b-pyramid=normal"}},
    "h264_open_gop.mp4": {"options": {"x264-params": "keyint=12:min-keyint=4:open-gop=1:bframes=3"}},
    "h264_intra_refresh.mkv": {"options": {"x264-params": "keyint=12:intra-refresh=1"}},
    "h264.ts": {"options": {"x264-params": "keyint=10:bframes=2"}},
    "hevc_open_gop.mp4": {
        "codec": "libx265",
        "options": {"x265-params": "keyint=12:min-keyint=4:open-gop=1:log-level=none"},
    },
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}},
    "mpeg2.mkv": {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "12", "lag-in-frames": "8", "deadline": "realtime"}},
    "vp9_alpha.webm": {"codec": "libvpx-vp9", "pix_fmt": "yuva420p", "options": {"g": "12", "deadline": "realtime"}},
    "ffv1.mkv": {"codec": "ffv1"},
    "raw.264": {"options": {"x264-params": "keyint=10"}, "format": "h264"},
    "interlaced.mp4": {"options": {"x264-params": "tff=1:keyint=10"}},
    "interlaced_intra.mkv": {"codec": "mpeg2video", "options": {"flags": "+ilme+ildct", "g": "1"}},
}
MUST_SEEK = set(SEEKABLE) - {"raw.264", "mpeg2.mpg", "interlaced_intra.mkv"}


@pytest.fixture(autouse=True)
def _seek_in_short_clips_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MIN_FRAMES_TO_SEEK", 10)


def _make(folder: Path, name: str) -> tuple[Clip, Timeline]:
    more = dict(SEEKABLE[name])
    if "interlaced" in name:
        more["draw"] = lambda i: media.weave(i, 64, 48)
    clip = probe(media.make_video(folder / name, frames=FRAMES, **more))
    return clip, scan(clip, detect_cuts=False)


def _all(clip: Clip, timeline: Timeline) -> list[np.ndarray]:
    with FrameReader(clip, timeline) as reader:
        return [frame.pixels for frame in reader.read(Window(start=0, stop=timeline.num_frames))]


@pytest.mark.parametrize("name", SEEKABLE)
def test_random_windows_give_the_pixels_of_one_pass(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, timeline = _make(tmp_path, name)
    assert timeline.num_frames == FRAMES
    assert not timeline.damaged
    truth = _all(clip, timeline)
    seeks = _count_seeks(monkeypatch)
    order = random.Random(7)
    with FrameReader(clip, timeline, seek_after=4) as reader:
        for _ in range(40):
            start = order.randrange(FRAMES)
            stop = min(FRAMES, start + order.randint(1, 9))
            frames = reader.read(Window(start=start, stop=stop))
            assert [frame.index for frame in frames] == list(range(start, stop))
            for frame in frames:
                np.testing.assert_array_equal(frame.pixels, truth[frame.index], err_msg=f"frame {frame.index}")
    if name in MUST_SEEK:
        assert timeline.seekable
        assert sum(seeks) > 5
    if name in ("raw.264", "mpeg2.mpg"):
        assert not timeline.seekable
        assert not seeks


def _count_seeks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    done: list[bool] = []
    original = decode_module.Decoder.seek_before

    def watched(self: decode_module.Decoder, pts: int) -> int | None:
        answer = original(self, pts)
        done.append(answer is not None)
        return answer

    monkeypatch.setattr(decode_module.Decoder, "seek_before", watched)
    return done


def test_ascending_windows_with_halo_decode_each_frame_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, timeline = _make(tmp_path, "h264_open_gop.mkv")
    truth = _all(clip, timeline)
    count = _count_decoded(monkeypatch)
    with FrameReader(clip, timeline) as reader:
        for start in range(0, FRAMES, 10):
            window = Window(start=max(0, start - 4), stop=min(FRAMES, start + 14))
            for frame in reader.read(window):
                np.testing.assert_array_equal(frame.pixels, truth[frame.index])
    assert count[0] <= FRAMES


def _count_decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    count = [0]
    original = decode_module.Decoder._shown

    def watched(self: decode_module.Decoder, frame: Any) -> decode_module.Shown:
        count[0] += 1
        return original(self, frame)

    monkeypatch.setattr(decode_module.Decoder, "_shown", watched)
    return count


def test_seeking_saves_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, timeline = _make(tmp_path, "h264.mp4")
    count = _count_decoded(monkeypatch)
    with FrameReader(clip, timeline, seek_after=10) as reader:
        reader.read(Window(start=70, stop=72))
    assert 0 < count[0] < 45


def test_wrong_claim_of_seekability_falls_back_to_decoding_from_the_start(tmp_path: Path) -> None:
    clip, timeline = _make(tmp_path, "h264.mp4")
    truth = _all(clip, timeline)
    shifted = Timeline(
        pts=tuple(time + 7 for time in timeline.pts),
        time_base=timeline.time_base,
        cuts=(0,),
        last_duration=1,
        seekable=True,
    )
    with FrameReader(clip, shifted, seek_after=4) as reader:
        np.testing.assert_array_equal(reader.read(Window(start=60, stop=61))[0].pixels, truth[60])


@pytest.mark.parametrize("name", ["h264.mp4", "interlaced.mp4"])
@pytest.mark.parametrize("frames", [1, 2, 3, 12])
def test_first_and_last_frames_are_never_lost(tmp_path: Path, name: str, frames: int) -> None:
    clip = probe(media.make_video(tmp_path / name, frames=frames, options=SEEKABLE[name]["options"]))
    timeline = scan(clip)
    for mode in ("off", "on", "auto"):
        with FrameReader(clip, timeline, deinterlace=mode) as reader:
            got = reader.read(Window(start=0, stop=frames))
        assert len(got) == timeline.num_frames == frames
        if mode == "off":
            assert [media.read_stamp(frame.pixels) for frame in got] == list(range(frames))


def _moving_bars(index: int) -> np.ndarray:
    """Bars that move 3 pixels from field to field, top field first."""
    x, line = np.arange(64), np.arange(48)[:, None]
    time = 2 * index + line % 2
    level = np.where((x + 3 * time) // 12 % 2 == 0, 60, 200).astype(np.uint8)
    return np.repeat(level[:, :, None], 3, axis=2)


def _combing(pixels: np.ndarray) -> float:
    """How much more neighbouring lines differ than lines two apart."""
    luma = pixels.astype(float).mean(axis=2)
    return float(np.abs(luma[1:] - luma[:-1]).mean() - np.abs(luma[2:] - luma[:-2]).mean())


def test_deinterlacing_removes_combing_and_auto_follows_the_scan(tmp_path: Path) -> None:
    options = {"x264-params": "tff=1:keyint=10", "crf": "10"}
    clip = probe(media.make_video(tmp_path / "a.mp4", frames=30, options=options, draw=_moving_bars))
    timeline = scan(clip)
    combing = {}
    for mode in ("off", "on", "auto"):
        with FrameReader(clip, timeline, deinterlace=mode) as reader:
            combing[mode] = np.mean([_combing(frame.pixels) for frame in reader.read(Window(start=10, stop=20))])
    assert combing["off"] > 10
    assert combing["on"] < 0.3 * combing["off"]
    assert combing["auto"] == combing["on"]


def test_auto_leaves_progressive_video_alone(tmp_path: Path) -> None:
    clip, timeline = _make(tmp_path, "h264.mp4")
    with FrameReader(clip, timeline, deinterlace="auto") as auto, FrameReader(clip, timeline, deinterlace="off") as off:
        for a, b in zip(auto.read(Window(start=0, stop=5)), off.read(Window(start=0, stop=5)), strict=True):
            np.testing.assert_array_equal(a.pixels, b.pixels)


@pytest.mark.parametrize(("codec", "options"), [("libvpx-vp9", {}), ("libvpx", {"auto-alt-ref": "0"})])
def test_webm_alpha_is_delivered(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    clip = probe(media.make_video(tmp_path / "a.webm", codec=codec, pix_fmt="yuva420p", options=options, frames=4))
    alpha = _all(clip, scan(clip))[2][:, :, 3].astype(int)
    assert np.abs(alpha - media.picture(2, channels=4)[:, :, 3]).mean() < 12


def test_lossless_rgb_is_exact(tmp_path: Path) -> None:
    path = media.make_video(tmp_path / "a.mkv", codec="libx264rgb", pix_fmt="rgb24", options={"qp": "0"}, frames=4)
    clip = probe(path)
    for i, pixels in enumerate(_all(clip, scan(clip))):
        np.testing.assert_array_equal(pixels, media.picture(i))


def test_frames_are_read_only_and_windows_are_checked(tmp_path: Path) -> None:
    clip, timeline = _make(tmp_path, "ffv1.mkv")
    with FrameReader(clip, timeline) as reader:
        frame = reader.read(Window(start=0, stop=1))[0]
        assert not frame.pixels.flags.writeable
        with pytest.raises(ValueError, match="beyond"):
            reader.read(Window(start=FRAMES - 1, stop=FRAMES + 1))


def test_a_file_that_became_shorter_is_noticed(tmp_path: Path) -> None:
    clip, timeline = _make(tmp_path, "ffv1.mkv")
    media.make_video(tmp_path / "ffv1.mkv", codec="ffv1", frames=20)
    with FrameReader(clip, timeline) as reader, pytest.raises(InputError, match="changed"):
        reader.read(Window(start=30, stop=31))
