"""What is told before the work: the trial of the other streams, and fields that become frames."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from media import make_video, picture
from passing import pass_through
from writing import make_source

from limpid.types import OutputError, Timeline, Window
from limpid.video import FrameReader, probe, rehearse, resolve_output, scan
from limpid.video.rehearsal import _some

CASES = Path(__file__).parent / "cases"


def notes_before(source: Path, output: Path, codec: str | None = None) -> tuple[str, ...]:
    clip = probe(source)
    line = Timeline(pts=(0,), time_base=clip.time_base, cuts=(0,), last_duration=1)
    size = {"width": clip.width, "height": clip.height}
    spec, _ = resolve_output(clip, line, output, codec=codec, crf=20, bit_depth=None, threads=1, **size)
    return rehearse(clip, output, spec)


@pytest.mark.parametrize("case", ["01_joined_mp2.ts", "02_pcm_7.1.mov", "03_sound_apac.mp4", "08_two_edits_aac.mp4"])
@pytest.mark.parametrize("extension", ["mp4", "mkv", "mov"])
def test_the_trial_says_what_the_end_says(tmp_path: Path, case: str, extension: str) -> None:
    before = notes_before(CASES / case, tmp_path / f"out.{extension}")
    after = pass_through(CASES / case, tmp_path / f"out.{extension}").said
    assert set(before) <= set(after)
    assert {note for note in after if "stream" in note} <= set(before)


def test_sixteen_channels(tmp_path: Path) -> None:
    """16 channels PCM, a tone in the 12th: kept in mkv, told in mp4."""
    assert any(
        "16 channels become 2" in note for note in notes_before(CASES / "19_16_channels.nut", tmp_path / "o.mp4")
    )
    assert notes_before(CASES / "19_16_channels.nut", tmp_path / "o.mkv") == ()
    with av.open(str(pass_through(CASES / "19_16_channels.nut", tmp_path / "out.mkv").output)) as container:
        assert container.streams.audio[0].codec_context.layout.nb_channels == 16


def test_the_trial_reads_the_beginning_and_the_end(tmp_path: Path) -> None:
    source = make_source(tmp_path / "long.mkv", count=1000)
    with av.open(str(source)) as container:
        stream = container.streams.audio[0]
        times = [float(packet.pts * packet.time_base) for packet in _some(container, [stream])]
    assert 3 < times[-1] < 25 and max(b - a for a, b in pairwise(times)) < 0.2


def test_a_refusing_container_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise av.error.InvalidDataError(1, "no")

    monkeypatch.setattr("limpid.video.rehearsal._one_picture", refuse)
    with pytest.raises(OutputError, match="cannot be written"):
        notes_before(make_source(tmp_path / "in.mp4"), tmp_path / "out.mp4")


def _weave_late_field_first(index: int) -> np.ndarray:
    """Bottom field first, as libx264 marks interlaced frames that say nothing of it."""
    frame = picture(2 * index + 1, 64, 48, stamp=False)
    frame[1::2] = picture(2 * index, 64, 48, stamp=False)[1::2]
    return frame


def test_both_fields_become_frames(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "i.mkv",
        frames=10,
        pix_fmt="yuv444p",
        draw=_weave_late_field_first,
        options={"x264-params": "bff=1:interlaced=1", "qp": "0"},
    )
    clip = probe(path)
    timeline = scan(clip, deinterlace="double")
    assert timeline.num_frames == 20
    steps = {(b - a) * timeline.time_base for a, b in pairwise(timeline.pts)}
    assert steps == {Fraction(1, 50)}
    with FrameReader(clip, timeline, deinterlace="double") as reader:
        frames = [f.pixels.astype(int) for f in reader.read(Window(start=0, stop=20))]
        again = reader.read(Window(start=4, stop=5))[0].pixels
    assert np.array_equal(frames[4], again)
    for number in range(2, 18):
        own = slice(1 - number % 2, None, 2)  # the lines of the field, which are not touched
        moments = [picture(k, 64, 48, stamp=False)[own].astype(int) for k in range(20)]
        away = [float(np.abs(frames[number][own] - moment).mean()) for moment in moments]
        assert away.index(min(away)) == number
