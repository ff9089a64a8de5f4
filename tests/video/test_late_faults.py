"""Side streams that fail late: a finished run has its result, and a note says what it lacks (E, F)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import media
import numpy as np
import pytest
from fakes import local_method
from passing import frame_times, pass_through, sound

import limpid
from limpid.methods import METHODS
from limpid.types import OutputError
from limpid.video import mux, probe
from limpid.video.opening import open_output, read_packets

FRAMES = 25


def recording(path: Path, *codecs: str) -> Path:
    """One second of pictures with a tone in each of these codecs."""
    wave = (0.3 * np.sin(np.arange(48000) / 9)).astype(np.float32)
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=FRAMES, width=64, height=48, pix_fmt="yuv420p")
        sounds: list[Any] = [out.add_stream(codec, rate=48000, layout="mono") for codec in codecs]
        for i in range(FRAMES):
            frame = media.to_frame(media.picture(i), "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, FRAMES)
            out.mux(video.encode(frame))
            for stream in sounds:
                piece = av.AudioFrame.from_ndarray(wave[None, i * 1920 : (i + 1) * 1920], format="fltp", layout="mono")
                piece.sample_rate, piece.pts, piece.time_base = 48000, i * 1920, Fraction(1, 48000)
                kind = stream.codec_context.format.name
                out.mux([p for f in av.AudioResampler(kind, "mono", 48000).resample(piece) for p in stream.encode(f)])
        for stream in (video, *sounds):
            out.mux(stream.encode(None))
    return path


# --------------------------------------------------------------------------------------------- damaged sound

Damage = Callable[[bytearray, int], None]


def flipped(data: bytearray, at: int) -> None:
    data[at] ^= 0x40


def zeroed(data: bytearray, at: int) -> None:
    data[at : at + 7] = bytes(7)


def noisy(data: bytearray, at: int) -> None:
    data[at : at + 60] = np.random.default_rng(at).bytes(60)


def cut_out(data: bytearray, at: int) -> None:
    """A whole packet of a transport stream is missing."""
    start = at // 188 * 188
    del data[start : start + 188]


def doubled(data: bytearray, at: int) -> None:
    start = at // 188 * 188
    data[start:start] = data[start : start + 188]


def damaged(path: Path, damage: Damage) -> Path:
    """The headers of three frames of AAC in a transport stream, from the last to the first."""
    data, places, at = bytearray(path.read_bytes()), [], 0
    while (at := data.find(b"\xff\xf1", at + 1)) >= 0:
        places.append(at)
    for at in reversed(places[4::12][:3]):
        damage(data, at)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("damage", [flipped, zeroed, noisy, cut_out, doubled])
def test_damaged_sound_goes_on_after_the_damage(tmp_path: Path, damage: Damage, extension: str) -> None:
    passed = pass_through(damaged(recording(tmp_path / "in.ts", "aac"), damage), tmp_path / f"out.{extension}")
    assert len(frame_times(passed.output)) == FRAMES
    with av.open(str(passed.output)) as container:
        sounds = [float(p.pts * p.time_base) for p in container.demux(container.streams.audio[0]) if p.size]
    assert max(sounds) > 0.9 and len(sounds) > 30


@pytest.mark.parametrize("output", ["o.mp4", "o.mov", "o.mkv"])
def test_a_run_over_damaged_sound_ends_with_a_result(
    tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "fast", lambda: local_method(name="fast", options=frozenset({"seed"})))
    source = damaged(recording(tmp_path / "in.ts", "aac"), flipped)
    report = limpid.upscale(source, tmp_path / output, method="fast", scale=1, threads=1)
    assert report.frames == FRAMES and sorted(path.name for path in tmp_path.iterdir()) == [
        "in.ts",
        output,
        f"{output}.limpid.json",
    ]
    assert any("goes on without 2 damaged pieces" in note for note in report.notes)


def test_a_stream_that_is_refused_for_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.video.tracks._MOST_REFUSED_IN_A_ROW", 10)
    refuse(monkeypatch, "mux", lambda stream: stream.type == "audio", after=5)
    passed = pass_through(recording(tmp_path / "in.mkv", "aac"), tmp_path / "out.mkv")
    assert passed.says("audio stream 1 is left out after", "refused")
    assert len(frame_times(passed.output)) == FRAMES


# ----------------------------------------------------------------------------------- a muxer that refuses


class Refusing:
    """A container for writing that refuses while it has a stream of some kind."""

    def __init__(self, container: Any, at: str, is_bad: Callable[[Any], bool], after: int) -> None:
        self._container, self._at, self._is_bad, self._left = container, at, is_bad, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def _check(self, at: str) -> None:
        if at == self._at and any(map(self._is_bad, self._container.streams)):
            raise av.error.InvalidDataError(1094995529, "refused")

    def start_encoding(self) -> None:
        self._check("start_encoding")
        self._container.start_encoding()

    def mux(self, packet: Any) -> None:
        if self._at == "mux" and self._is_bad(self._container.streams[packet.stream_index]):
            self._left -= 1
            if self._left < 0:
                raise av.error.InvalidDataError(1094995529, "refused")
        if packet.stream_index == 0:  # the muxer comes to the bad stream while it is given a picture
            self._check("a picture")
        self._container.mux(packet)

    def close(self) -> None:
        self._check("close")
        self._container.close()


def refuse(monkeypatch: pytest.MonkeyPatch, at: str, is_bad: Callable[[Any], bool], after: int = 0) -> None:
    def opened(*arguments: Any, **options: Any) -> Any:
        return Refusing(open_output(*arguments, **options), at, is_bad, after)

    monkeypatch.setattr(mux, "open_output", opened)


def is_mp3(stream: Any) -> bool:
    return bool(stream.codec_context.codec.canonical_name == "mp3")


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("at", ["start_encoding", "a picture", "close"])
def test_the_stream_that_a_muxer_stumbles_over_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, extension: str
) -> None:
    """The error names no stream; the others are kept."""
    source = recording(tmp_path / "in.mkv", "aac", "libmp3lame", "aac")
    refuse(monkeypatch, at, is_mp3)
    passed = pass_through(source, tmp_path / f"out.{extension}")
    assert passed.says("audio stream 2 is left out: refused") and not passed.says("audio stream 1")
    assert len(frame_times(passed.output)) == FRAMES
    with av.open(str(passed.output)) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["aac", "aac"]


@pytest.mark.parametrize("at", ["start_encoding", "a picture", "close"])
def test_two_bad_streams_of_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    source = recording(tmp_path / "in.mkv", "libmp3lame", "aac", "libmp3lame")
    refuse(monkeypatch, at, is_mp3)
    passed = pass_through(source, tmp_path / "out.mkv")
    assert passed.says("audio stream 1 is left out") and passed.says("audio stream 3 is left out")
    assert len(frame_times(passed.output)) == FRAMES


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_chapters_that_a_muxer_does_not_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension: str) -> None:
    def refused(*_: object) -> None:
        raise av.error.InvalidDataError(1094995529, "refused")

    monkeypatch.setattr(mux, "copy_chapters", refused)
    passed = pass_through(recording(tmp_path / "in.mkv", "aac"), tmp_path / f"out.{extension}")
    assert passed.says("title and chapters is left out")
    assert sound(passed.output)[0].shape[1] > 40_000


def test_pictures_that_are_refused_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "close", lambda stream: stream.type == "video")
    source = recording(tmp_path / "in.mkv", "aac")
    with pytest.raises(OutputError, match="refused"):
        pass_through(source, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


# --------------------------------------------------------------------- streams that appear on the way, names


def test_streams_that_appear_on_the_way(tmp_path: Path) -> None:
    """A Flash file whose last piece of sound is of another codec, which makes it a stream of its own."""
    data = bytearray(recording(tmp_path / "in.flv", "aac").read_bytes())
    data[data.rindex(b"\xaf\x01")] = 0x2F
    (tmp_path / "in.flv").write_bytes(bytes(data))
    assert probe(tmp_path / "in.flv").width == 64
    assert len(frame_times(pass_through(tmp_path / "in.flv", tmp_path / "out.mkv").output)) == FRAMES


def test_pyav_stumbles_over_them_at_the_end() -> None:
    """It reads beyond its list of wanted streams there, so whether it does depends on what lies in memory."""

    class Stumbling:
        def demux(self, *streams: object) -> Iterator[int]:
            yield from (1, 2)
            raise IndexError("list index out of range")

    assert list(read_packets(Stumbling(), object())) == [1, 2]


def test_all_packets_are_read_in_that_way(repository: Path) -> None:
    found = [path.name for path in (repository / "src").rglob("*.py") if ".demux(" in path.read_text()]
    assert found == ["opening.py"]


@pytest.mark.parametrize(
    "name",
    ["12:30.mkv", "file:x.mkv", "http:x.mkv", "cache:y.mkv", "subfile,,start,0,,:a.mkv", "-i.mkv"],
)
def test_names_are_names_to_the_end(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative names, as they are given on a command line; the source is opened again for its sound."""
    monkeypatch.chdir(tmp_path)
    recording(tmp_path / "x.mkv", "aac").rename(tmp_path / name)
    passed = pass_through(Path(name), Path(f"out-{name}"))
    assert len(frame_times(passed.output)) == FRAMES
    assert sound(passed.output)[0].shape[1] > 40_000
