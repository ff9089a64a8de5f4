"""More inputs of the kinds in `test_cases`, made here: joined recordings, apertures, time codes, odd names, alpha."""

from __future__ import annotations

import shutil
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media import image_folder, make_video, picture
from passing import frame_times, pass_through, pitch, sound

from limpid.types import HiddenEdges
from limpid.video import probe, rate_varies
from limpid.video.audio import _Decoder

CASES = Path(__file__).parent / "cases"


def recording(path: Path, frames: int, hz: int, first: int = 0) -> bytes:
    """A transport stream of 25 frames/s with a tone; its clock starts at frame ``first``."""
    times = np.arange(frames * 1920)
    wave = (0.3 * np.sin(2 * np.pi * hz * times / 48000)).astype(np.float32)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p")
        audio = out.add_stream("aac", rate=48000, layout="mono")
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = first + i, Fraction(1, 25)
            out.mux(video.encode(frame))
            piece = av.AudioFrame.from_ndarray(wave[None, i * 1920 : (i + 1) * 1920], format="fltp", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = 48000, (first + i) * 1920, Fraction(1, 48000)
            out.mux(audio.encode(piece))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
@pytest.mark.parametrize("starts", [(0, 0), (0, 90_000), (90_000, 0)], ids=["again", "later", "earlier"])
def test_short_and_long_recordings_are_joined(tmp_path: Path, starts: tuple[int, int], extension: str) -> None:
    """The second clock starts again, an hour later, or an hour earlier; the first part is shorter than the second."""
    parts = [recording(tmp_path / "a.ts", 30, 440, starts[0]), recording(tmp_path / "b.ts", 75, 880, starts[1])]
    (tmp_path / "in.ts").write_bytes(b"".join(parts))
    passed = pass_through(tmp_path / "in.ts", tmp_path / f"out.{extension}")
    times = frame_times(passed.output)
    assert len(times) == 105 and max(b - a for a, b in pairwise(times)) < 0.042
    samples, rate = sound(passed.output)
    heard = [pitch(samples[0], rate, times[0] + s, times[0] + s + 0.3) for s in (0.5, 1.5, 3.5)]
    assert heard == [pytest.approx(hz, abs=10) for hz in (440, 880, 880)]


def with_aperture(path: Path, width: int, height: int) -> Path:
    """The mov file with a ``clap`` box of this size in its middle, at the end of the file's only sample entry."""
    data = path.read_bytes()
    box = struct.pack(">I4s8I", 40, b"clap", width, 1, height, 1, 0, 1, 0, 1)
    entry = data.index(b"stsd") + 12
    end = entry + struct.unpack(">I", data[entry : entry + 4])[0]
    grown = bytearray(data)
    for at in [entry, *(data.index(kind) - 4 for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"))]:
        grown[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + len(box))
    path.write_bytes(bytes(grown[:end]) + box + bytes(grown[end:]))
    return path


def test_the_clean_aperture_of_quicktime_is_shown(tmp_path: Path) -> None:
    source = with_aperture(make_video(tmp_path / "a.mov", frames=3), 48, 40)
    clip = probe(source)
    assert (clip.width, clip.height, clip.crop) == (48, 40, HiddenEdges(8, 4, 8, 4))
    assert frame_times(pass_through(source, tmp_path / "out.mp4").output) == frame_times(source)


@pytest.mark.parametrize("size", [(0, 0), (4000, 4000), (64, 48)])
def test_an_aperture_that_hides_nothing_or_makes_no_sense(tmp_path: Path, size: tuple[int, int]) -> None:
    clip = probe(with_aperture(make_video(tmp_path / "a.mov", frames=2), *size))
    assert (clip.width, clip.height) == (64, 48)


@pytest.mark.parametrize("extension", ["mov", "mp4", "mkv"])
def test_a_time_code_is_passed_on(tmp_path: Path, extension: str) -> None:
    source = tmp_path / "in.mov"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p")
        stream.metadata["timecode"] = "01:02:03:04"
        for i in range(3):
            frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24").reformat(format="yuv420p")
            frame.pts = i
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    passed = pass_through(source, tmp_path / f"out.{extension}")
    assert probe(passed.output).extras.timecode == "01:02:03:04"
    assert passed.said == ()


def test_transparency_in_quicktime_is_kept_by_default(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "a.mov", codec="prores_ks", pix_fmt="yuva444p10le", frames=3, options={"profile": "4444"}
    )
    passed = pass_through(source, tmp_path / "out.mov")
    assert passed.spec.codec == "prores" and passed.spec.alpha and probe(passed.output).has_alpha


@pytest.mark.parametrize("name", ["rec:01.mkv", "concat:x.mkv", "pipe:0.mkv", "data:a,b.mkv", "a|b.mkv", "%05d.mkv"])
def test_names_are_names(tmp_path: Path, name: str) -> None:
    shutil.copy(CASES / "06_start_1s.mkv", tmp_path / name)
    assert len(frame_times(pass_through(tmp_path / name, tmp_path / f"out-{name}").output)) == 10


def test_a_fault_in_one_stream_ends_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sounds that must be re-encoded; the first breaks after three packets."""
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out:
        video = out.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p")
        sounds = [out.add_stream("mp2", rate=48000, layout="stereo") for _ in range(2)]
        for i in range(25):
            frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24").reformat(format="yuv420p")
            frame.pts = i
            out.mux(video.encode(frame))
            for stream in sounds:
                piece = av.AudioFrame.from_ndarray(np.zeros((1, 3840), np.int16), format="s16", layout="stereo")
                piece.sample_rate, piece.pts = 48000, 1920 * i
                out.mux(stream.encode(piece))
        for stream in [video, *sounds]:
            out.mux(stream.encode(None))
    decode, calls = _Decoder.decode, []

    def breaking(self: _Decoder, packet: Any) -> list[Any]:
        calls.append(packet.stream.index if packet is not None else None)
        if calls[-1] == 1 and calls.count(1) > 3:
            raise av.error.ArgumentError(22, "broken")
        return decode(self, packet)

    monkeypatch.setattr(_Decoder, "decode", breaking)
    passed = pass_through(source, tmp_path / "out.mov")
    assert passed.says("audio stream 1 is left out after 0.1 s")
    assert sound(passed.output, 1)[0].shape[1] / 48000 == pytest.approx(1.0, abs=0.05)
    assert len(frame_times(passed.output)) == 25


def test_a_variable_rate_is_seen_in_the_packets(tmp_path: Path) -> None:
    even = make_video(tmp_path / "a.mkv", frames=40)
    uneven = [40 * i + (15 if i % 3 == 0 else 0) for i in range(40)]
    odd = make_video(tmp_path / "b.mkv", frames=40, pts=uneven, time_base=Fraction(1, 1000))
    ntsc = make_video(tmp_path / "c.mkv", frames=40, fps=Fraction(30000, 1001))  # in whole milliseconds
    assert [rate_varies(probe(path)) for path in (even, odd, ntsc)] == [False, True, False]
    assert not rate_varies(probe(image_folder(tmp_path / "f", frames=2)))
