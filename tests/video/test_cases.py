"""Small files of kinds that went wrong once; the right values were found with FFmpeg's own tools.

`cases/` holds them, all synthetic; each test says how its file was made.
"""

from __future__ import annotations

import shutil
import struct
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from passing import frame_times, pass_through, pitch, sound

from limpid.types import Window
from limpid.video import FrameReader, probe, scan
from limpid.video.side_data import side_data_of

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("extension", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("case", ["01_joined_aac.ts", "01_joined_mp2.ts"])
def test_joined_recordings_play_one_after_the_other(tmp_path: Path, case: str, extension: str) -> None:
    """Two recordings of 0.4 s, `cat a.ts b.ts`: the clock starts again; 440 Hz, then 880 Hz."""
    passed = pass_through(CASES / case, tmp_path / f"out.{extension}")
    times = frame_times(passed.output)
    assert len(times) == 20
    assert max(abs(b - a - 0.04) for a, b in pairwise(times)) < 0.002
    samples, rate = sound(passed.output)
    first = times[0]
    assert pitch(samples[0], rate, first + 0.1, first + 0.35) == pytest.approx(440, abs=15)
    assert pitch(samples[0], rate, first + 0.5, first + 0.75) == pytest.approx(880, abs=15)
    assert samples.shape[1] / rate == pytest.approx(first + 0.8, abs=0.08)
    assert passed.says("clock", "starts again 1 time")


def test_sound_with_an_order_of_channels_of_its_own(tmp_path: Path) -> None:
    """7.1 PCM in mov, whose `chan` box has an order of its own: re-encoded, all eight channels."""
    passed = pass_through(CASES / "02_pcm_7.1.mov", tmp_path / "out.mp4")
    assert sound(passed.output)[0].shape[0] == 8
    assert passed.says("re-encoded", "pcm_s16le")


def test_channels_without_labels(tmp_path: Path) -> None:
    """Four channels, every label 0 (unused), as DV captures have them."""
    passed = pass_through(CASES / "02_pcm_unused_labels.mov", tmp_path / "out.mp4")
    assert sound(passed.output)[0].shape[0] == 4


@pytest.mark.parametrize("extension", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("case", ["03_sound_apac.mp4", "03_sound_mha1.mp4"])
def test_a_sound_track_without_a_decoder(tmp_path: Path, case: str, extension: str) -> None:
    passed = pass_through(CASES / case, tmp_path / f"out.{extension}")
    with av.open(str(passed.output)) as container:
        assert len(container.streams.audio) == 1
    assert passed.says("audio stream 2", "not carried over")


@pytest.mark.parametrize(("case", "count"), [("04_exif_mjpeg.avi", 5), ("04_tiff.mov", 3)])
def test_side_data_that_pyav_cannot_name(tmp_path: Path, case: str, count: int) -> None:
    """Motion JPEG and TIFF frames with EXIF."""
    passed = pass_through(CASES / case, tmp_path / "out.mp4")
    assert len(frame_times(passed.output)) == count


def test_chapters_before_the_new_zero(tmp_path: Path) -> None:
    """Video from 20.0 s, chapters 0-20 "One" and 20-20.4 "Two"."""
    passed = pass_through(CASES / "05_late_chapters.mkv", tmp_path / "out.mkv")
    with av.open(str(passed.output)) as container:
        chapters = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
            for c in container.chapters()
        ]
    assert [(float(a), float(b), title) for a, b, title in chapters if b > a] == [(0.0, pytest.approx(0.4), "Two")]
    assert not passed.says("missing")


def test_subtitles_before_the_new_zero(tmp_path: Path) -> None:
    """Video from 20.0 s, subtitles 5-25 s and 20.1-20.3 s."""
    passed = pass_through(CASES / "05_late_subtitles.mkv", tmp_path / "out.mkv")
    with av.open(str(passed.output)) as container:
        shown = [
            (float(p.pts * p.time_base), float((p.pts + p.duration) * p.time_base))
            for p in container.demux(container.streams.subtitles[0])
            if p.size
        ]
    assert shown == [(0.0, pytest.approx(5.0)), (pytest.approx(0.1), pytest.approx(0.3))]


def test_a_late_start_is_not_a_loss() -> None:
    """The first frame at 1.0 s, nothing missing; Matroska durations count from 0."""
    assert scan(probe(CASES / "06_start_1s.mkv")).warnings == ()


def test_dropped_frames_of_avi_are_not_a_loss(tmp_path: Path) -> None:
    """44 pictures and 6 zero-length chunks, which say: show the one before again."""
    passed = pass_through(CASES / "07_null_frames.avi", tmp_path / "out.mp4")
    assert len(frame_times(passed.output)) == 44
    assert not passed.says("cut off") and not passed.says("missing")


@pytest.mark.parametrize(
    ("case", "extension"),
    [
        ("08_two_edits_pcm.mov", "mov"),
        ("08_two_edits_pcm.mov", "mkv"),
        ("08_two_edits_pcm.mov", "mp4"),
        ("08_two_edits_aac.mp4", "mp4"),
        ("08_two_edits_aac.mp4", "mkv"),
    ],
)
def test_what_an_edit_list_hides_is_not_heard(tmp_path: Path, case: str, extension: str) -> None:
    """Edits 0-0.4 and 0.8-1.2 s; the tone rises by 100 Hz every 0.1 s from 300 Hz."""
    passed = pass_through(CASES / case, tmp_path / f"out.{extension}")
    samples, rate = sound(passed.output)
    heard = [pitch(samples[0], rate, 0.1 * i + 0.02, 0.1 * i + 0.08) for i in range(8)]
    assert heard == [pytest.approx(tone, abs=25) for tone in (300, 400, 500, 600, 1100, 1200, 1300, 1400)]
    assert samples.shape[1] / rate == pytest.approx(0.8, abs=0.03)


def test_sound_that_changes_its_rate(tmp_path: Path) -> None:
    """MP2, 48 kHz with 440 Hz for 0.4 s, then 32 kHz with 880 Hz."""
    passed = pass_through(CASES / "11_rate_change.ts", tmp_path / "out.mov")
    samples, rate = sound(passed.output)
    start = frame_times(passed.output)[0]
    assert pitch(samples[0], rate, start + 0.1, start + 0.35) == pytest.approx(440, abs=15)
    assert pitch(samples[0], rate, start + 0.5, start + 0.75) == pytest.approx(880, abs=15)
    assert not passed.says("in part")


def test_a_name_that_looks_like_a_protocol(tmp_path: Path) -> None:
    source = tmp_path / "17:colon.mp4"
    shutil.copyfile(CASES / "17_colon.mp4", source)
    passed = pass_through(source, tmp_path / "concat:out.mp4")
    assert passed.output.exists() and len(frame_times(passed.output)) == probe(source).num_frames


def test_pixels_that_change_their_shape_are_told() -> None:
    """MPEG-2, 4:3 for 10 frames, then 16:9."""
    warnings = scan(probe(CASES / "09_aspect_change.ts")).warnings
    assert any("shape of the pixels changes" in warning for warning in warnings)


def test_range_and_matrix_that_change_are_followed() -> None:
    """H.264 bars: full range BT.601, then limited range BT.709."""
    clip = probe(CASES / "10_range_and_matrix_change.ts")
    timeline = scan(clip)
    with FrameReader(clip, timeline) as reader:
        frames = reader.read(Window(start=0, stop=timeline.num_frames))
    before, after = frames[5].pixels.astype(int), frames[-2].pixels.astype(int)
    assert np.abs(before - after).mean() < 3
    assert abs(before.max() - after.max()) <= 3 and abs(before.min() - after.min()) <= 3


def test_hidden_edges_are_not_shown(tmp_path: Path) -> None:
    """64x48, `mkvmerge --cropping 0:0,8,0,8`: 64x32 with square pixels."""
    clip = probe(CASES / "16_crop.mkv")
    assert (clip.width, clip.height, clip.sample_aspect, clip.crop) == (64, 32, 1, (0, 8, 0, 8))
    passed = pass_through(CASES / "16_crop.mkv", tmp_path / "out.mp4")
    with av.open(str(passed.output)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == (64, 32)


def test_repeated_fields_of_raw_mpeg2(tmp_path: Path) -> None:
    """12 pictures with 3:2 repeat flags."""
    passed = pass_through(CASES / "20_soft_telecine.m2v", tmp_path / "out.mp4")
    times = frame_times(passed.output)
    assert [round(time, 3) for time in times[:4]] == [0.0, 0.05, 0.083, 0.133]
    with av.open(str(passed.output)) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(0.5005, abs=1e-4)


def _first_side_data(path: Path) -> dict[Type, bytes]:
    with av.open(str(path)) as container:
        return side_data_of(next(container.decode(video=0)))


def test_closed_captions_are_kept(tmp_path: Path) -> None:
    """H.264 with CEA-608 "HELLO!" in SEI."""
    passed = pass_through(CASES / "12_captions.mp4", tmp_path / "out.mp4")
    assert Type.A53_CC in _first_side_data(passed.output) and not passed.says("captions")


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_mastering_display_and_light_level_are_kept(tmp_path: Path, codec: str) -> None:
    """x265 with a mastering display, MaxCLL 1000, MaxFALL 400."""
    passed = pass_through(CASES / "13_hdr10.mp4", tmp_path / "out.mp4", codec=codec)
    found = _first_side_data(passed.output)
    assert struct.unpack("2I", found[Type.CONTENT_LIGHT_LEVEL]) == (1000, 400)
    values = struct.unpack("22i", found[Type.MASTERING_DISPLAY_METADATA])
    before = struct.unpack("22i", _first_side_data(CASES / "13_hdr10.mp4")[Type.MASTERING_DISPLAY_METADATA])
    for i in range(0, 20, 2):
        assert values[i] / values[i + 1] == pytest.approx(before[i] / before[i + 1], abs=1e-3)


def test_hdr_into_images_is_told(tmp_path: Path) -> None:
    passed = pass_through(CASES / "13_hdr10.mp4", tmp_path / "out")
    assert passed.says("HDR10", "not carried over") and passed.says("HDR (PQ)", "without a tag")


@pytest.mark.parametrize(("extension", "kept"), [("mkv", True), ("mp4", False)])
def test_stereo_layout(tmp_path: Path, extension: str, kept: bool) -> None:
    """Matroska's stereo mode 1, left eye on the left."""
    passed = pass_through(CASES / "14_side_by_side.mkv", tmp_path / f"out.{extension}")
    data = _first_side_data(passed.output).get(Type.STEREO3D)
    assert (data is not None and data[:4] == b"\x01\0\0\0") == kept
    assert probe(passed.output).sample_aspect == 2  # FFmpeg counts one view as the picture
    assert passed.says("stereo") != kept
