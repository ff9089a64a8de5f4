"""Sound whose codec or configuration changes on the way: all of it is heard in every container, and a note says so."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import media
import numpy as np
import pytest
from passing import frame_times, pass_through, pitch, sound

from limpid.video import probe, scan
from limpid.video.rehearsal import rehearse
from limpid.video.sounds import SoundWatch, framing_of

FRAMES = 20
"""Pictures of one recording, 25 in a second."""


def recording(path: Path, codec: str, tone_hz: float, *, rate: int = 48000, layout: str = "mono") -> Path:
    """0.8 s of pictures and of a tone."""
    wave = (0.3 * np.sin(np.arange(rate) * 2 * np.pi * tone_hz / rate)).astype(np.float32)
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p")
        stream: Any = out.add_stream(codec, rate=rate, layout=layout)
        step, kind = rate // 25, stream.codec_context.format.name
        resampler = av.AudioResampler(kind, layout, rate)
        for i in range(FRAMES):
            frame = media.to_frame(media.picture(i), "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            out.mux(video.encode(frame))
            piece = av.AudioFrame.from_ndarray(wave[None, i * step : (i + 1) * step], format="fltp", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = rate, i * step, Fraction(1, rate)
            out.mux([p for f in resampler.resample(piece) for p in stream.encode(f)])
        out.mux([*video.encode(None), *stream.encode(None)])
    return path


def joined(tmp_path: Path, first: dict[str, Any], second: dict[str, Any]) -> Path:
    """440 Hz, then 880 Hz."""
    a = recording(tmp_path / "a.ts", tone_hz=440, **first)
    b = recording(tmp_path / "b.ts", tone_hz=880, **second)
    whole = tmp_path / "whole.ts"
    whole.write_bytes(a.read_bytes() + b.read_bytes())
    return whole


def check_heard(path: Path) -> None:
    samples, rate = sound(path)
    samples = samples.sum(axis=0, keepdims=True)  # a tone in one channel lies in the middle of 5.1
    start = frame_times(path)[0]
    assert pitch(samples[0], rate, start + 0.1, start + 0.7) == pytest.approx(440, abs=10)
    assert pitch(samples[0], rate, start + 1.0, start + 1.5) == pytest.approx(880, abs=10)


CHANGES = [
    ({"codec": "ac3"}, {"codec": "aac"}),
    ({"codec": "aac"}, {"codec": "ac3"}),
    ({"codec": "aac"}, {"codec": "libmp3lame"}),
    ({"codec": "mp2"}, {"codec": "eac3"}),
    ({"codec": "aac"}, {"codec": "aac", "rate": 32000}),
    ({"codec": "aac"}, {"codec": "aac", "layout": "5.1"}),
]


@pytest.mark.parametrize("extension", ["mkv", "mp4", "mov"])
@pytest.mark.parametrize(("first", "second"), CHANGES)
def test_a_change_is_heard_and_told(tmp_path: Path, first: dict, second: dict, extension: str) -> None:
    passed = pass_through(joined(tmp_path, first, second), tmp_path / f"out.{extension}")
    assert passed.timeline.changing_sound == (1,)
    assert passed.says("audio stream 1 is re-encoded from", "to AAC, since")
    assert not passed.says("left out") and not passed.says("damaged piece")
    check_heard(passed.output)
    assert len(frame_times(passed.output)) == 2 * FRAMES


@pytest.mark.parametrize("codec", ["aac", "ac3", "mp2"])
def test_recordings_that_are_alike_are_copied(tmp_path: Path, codec: str) -> None:
    passed = pass_through(joined(tmp_path, {"codec": codec}, {"codec": codec}), tmp_path / "out.mkv")
    assert passed.timeline.changing_sound == () and not passed.says("re-encoded")
    with av.open(str(passed.output)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == codec
    check_heard(passed.output)


def test_a_trial_says_what_the_result_says(tmp_path: Path) -> None:
    """It looks at the head and the tail of the file."""
    source = joined(tmp_path, *CHANGES[0])
    passed = pass_through(source, tmp_path / "out.mp4")
    notes = rehearse(passed.clip, tmp_path / "other.mp4", passed.spec)
    assert [note for note in notes if "audio" in note] == [note for note in passed.said if "audio" in note]


# ---------------------------------------------------------------------------------------------- what a packet is

HEADERS = {
    "0b77ca100c402f84": ("ac3", 0),
    "0b7700ff3f85e000": ("eac3", 0),
    "7ffe8001fc3c3ff0": ("dts", 0),
    "64582025000f1f2b": ("dts", 0),
    "b0f47a3df8726fba": ("truehd", 0),
    "fffd8404feedbeef": ("mp2", 0),
    "fffb9064feedbeef": ("mp3", 0),
    "56e1200000000000": ("aac_latm", 0),
}


@pytest.mark.parametrize("data", HEADERS)
def test_headers(data: str) -> None:
    assert framing_of(bytes.fromhex(data)) == HEADERS[data]


@pytest.mark.parametrize("data", ["", "0b77", "0000000000000000", "21004c8000000000", "ffe7000000000000"[:-2]])
def test_what_is_no_header(data: str) -> None:
    assert framing_of(bytes.fromhex(data)) is None


def test_lengths_are_no_configuration_and_channels_are() -> None:
    stereo, longer, six = (bytes.fromhex(f"fff1{rest}0000") for rest in ("4c801ffc", "4c81bffc", "4d801ffc"))
    assert framing_of(stereo) == framing_of(longer) != framing_of(six)


class Packet:
    """A packet of sound that is announced, or not, by a new configuration."""

    def __init__(self, stream: Any, told: bytes | None = None) -> None:
        self.stream, self.size, self._told = stream, 1, told

    def has_sidedata(self, kind: str) -> bool:
        return kind == "new_extradata" and self._told is not None

    def get_sidedata(self, kind: str) -> bytes:
        assert kind == "new_extradata" and self._told is not None
        return self._told


@pytest.mark.parametrize(
    ("begins", "told", "changes"),
    [
        (b"a", [None, None], False),
        (b"a", [None, b"a"], False),
        (b"a", [None, b"b"], True),
        (None, [b"a", None, b"a"], False),
        (None, [b"a", None, b"b"], True),
    ],
)
def test_a_new_configuration_beside_a_packet(begins: bytes | None, told: list[bytes | None], changes: bool) -> None:
    """As Flash, MP4 and Ogg have it."""
    codec = SimpleNamespace(canonical_name="aac")
    context = SimpleNamespace(codec=codec, extradata=begins)
    file = SimpleNamespace(format=SimpleNamespace(name="flv"))
    stream = SimpleNamespace(type="audio", index=3, codec_context=context, container=file)
    watch = SoundWatch()
    for data in told:
        watch.see(Packet(stream, data))
    assert watch.changing == ((3,) if changes else ())


@pytest.mark.parametrize(("first", "second", "told"), [("stereo", "5.1", True), ("5.1", "stereo", False)])
def test_channels_that_are_there_later_only(tmp_path: Path, first: str, second: str, told: bool) -> None:
    """The result has as many as the beginning."""
    whole = joined(tmp_path, {"codec": "aac", "layout": first}, {"codec": "aac", "layout": second})
    passed = pass_through(whole, tmp_path / "out.mp4")
    assert passed.says("audio stream 1 has 6 channels on the way, which become 2") == told
    assert passed.says("re-encoded from aac to AAC, since it changes on the way")
    check_heard(passed.output)


@pytest.mark.parametrize("codec", ["aac", "ac3", "mp2"])
@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_sound_that_begins_late(tmp_path: Path, codec: str, extension: str) -> None:
    """FFmpeg looks at the first five seconds and finds no rate there."""
    silent = media.make_video(tmp_path / "a.ts", frames=175)
    sounding = recording(tmp_path / "b.ts", codec, 880)
    (tmp_path / "in.ts").write_bytes(silent.read_bytes() + sounding.read_bytes())
    clip = probe(tmp_path / "in.ts")
    passed = pass_through(tmp_path / "in.ts", tmp_path / f"out.{extension}")
    if clip.side_streams:
        assert passed.says("audio stream 1", "to AAC, since it begins late")
        samples, rate = sound(passed.output)
        start = frame_times(passed.output)[0]
        assert pitch(samples[0], rate, start + 1, start + 6) == 0
        assert pitch(samples[0], rate, start + 7.2, start + 7.6) == pytest.approx(880, abs=10)
        assert set(rehearse(clip, passed.output, passed.spec)) <= set(passed.said)


def test_damage_is_no_change(tmp_path: Path) -> None:
    """Two packets in a row that claim another rate."""
    data = bytearray(recording(tmp_path / "a.ts", "aac", 440).read_bytes())
    places = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xf1"][4:6]
    for at in places:
        data[at + 2] ^= 0x04
    (tmp_path / "a.ts").write_bytes(bytes(data))
    assert len(places) == 2 and scan(probe(tmp_path / "a.ts")).changing_sound == ()
