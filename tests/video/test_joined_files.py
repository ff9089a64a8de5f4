"""Recordings joined with `cat` although they differ: another codec, another programme, no transport stream."""

from __future__ import annotations

from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest
from media import make_video, read_stamp
from passing import frame_times, pass_through

from limpid.types import Window
from limpid.video import FrameReader, probe, scan

FRAMES = 30
CODECS = {"h264": "libx264", "hevc": "libx265", "mpeg2video": "mpeg2video"}
Joined = tuple[Path, ...]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures of 10 rows of macroblocks: what cuts them by another codec's rules cuts them in the middle."""
    folder = tmp_path_factory.mktemp("recordings")
    return {
        name: make_video(folder / f"{name}.ts", codec=codec, frames=FRAMES, width=192, height=160, audio=True)
        for name, codec in CODECS.items()
    }


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("names", list(permutations(CODECS, 2)), ids="-".join)
def test_another_codec_is_read_on(tmp_path: Path, recordings: dict[str, Path], names: tuple[str, str]) -> None:
    """All but a frame which FFmpeg loses where the parts meet, and one that it cuts there."""
    clip = probe(joined(tmp_path / "in.ts", *(recordings[name] for name in names)))
    line = scan(clip)
    assert any(f"changes its codec on the way ({names[0]}, then {names[1]})" in told for told in line.warnings)
    assert line.num_frames >= 2 * FRAMES - 1
    assert len(line.clock_shifts) == 1 and not line.seekable
    unit = float(line.time_base)
    assert (line.pts[-1] - line.pts[0]) * unit == pytest.approx(2 * FRAMES / 25, abs=0.13)
    with FrameReader(clip, line) as reader:
        stamps = [read_stamp(frame.pixels) for frame in reader.read(Window(start=0, stop=line.num_frames))]
    first, second = stamps[:-FRAMES], stamps[-FRAMES:]
    assert second == list(range(FRAMES))
    assert first == sorted(first) and len(set(range(FRAMES)) - set(first)) <= 2


def test_there_and_back_again(tmp_path: Path, recordings: dict[str, Path]) -> None:
    parts = [recordings[name] for name in ("h264", "mpeg2video", "h264")]
    passed = pass_through(joined(tmp_path / "in.ts", *parts), tmp_path / "out.mp4")
    assert passed.says("h264, then mpeg2video, then h264")
    times = frame_times(passed.output)
    assert len(times) >= 3 * FRAMES - 2 and max(b - a for a, b in pairwise(times)) < 0.13


@pytest.mark.parametrize("codec", CODECS)
def test_one_codec_is_one(recordings: dict[str, Path], codec: str) -> None:
    line = scan(probe(recordings[codec]))
    assert line.num_frames == FRAMES and not line.warnings


@pytest.mark.parametrize(("extension", "kind"), [("flv", "FLV"), ("mp4", "MP4"), ("mov", "MP4")])
def test_of_files_with_one_index_the_first_is_read(tmp_path: Path, extension: str, kind: str) -> None:
    part = make_video(tmp_path / f"part.{extension}", audio=True, frames=FRAMES)
    assert not scan(probe(part)).warnings
    line = scan(probe(joined(tmp_path / f"in.{extension}", part, part)))
    assert line.num_frames == FRAMES
    (told,) = line.warnings
    assert (
        told.startswith(("after 1.2 s", "after 1.3 s"))
        and f"joined {kind} files" in told
        and "only what comes before" in told
    )


@pytest.mark.parametrize(
    ("second", "differs"),
    [({}, False), ({"codec": "libx265"}, True), ({"width": 128, "height": 96}, True), ({"audio": True}, True)],
    ids=["same", "codec", "size", "sound"],
)
def test_matroska_files_one_after_the_other(tmp_path: Path, second: dict[str, Any], differs: bool) -> None:
    """Their configuration stands in the header alone, of which FFmpeg takes the first."""
    size = {"width": 96, "height": 64, "frames": FRAMES}
    parts = [make_video(tmp_path / f"{n}.mkv", **{**size, **more}) for n, more in enumerate(({}, second))]
    line = scan(probe(joined(tmp_path / "in.mkv", *parts)))
    assert any("several Matroska files" in told for told in line.warnings) == differs
    assert differs or line.num_frames == 2 * FRAMES
    assert not scan(probe(parts[1])).warnings


def test_damage_behind_a_matroska_file_is_no_defect(tmp_path: Path) -> None:
    part = make_video(tmp_path / "a.mkv", frames=FRAMES)
    data = part.read_bytes()
    for rest in (b"\0" * 50, b"\xff" * 50, data[:10], data[:60], data[:300], b"\x1a\x45\xdf\xa3"):
        (tmp_path / "in.mkv").write_bytes(data + rest)
        assert scan(probe(tmp_path / "in.mkv")).num_frames == FRAMES


def test_an_index_in_pieces_is_one_file(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov", "min_frag_duration": "0"}
    part = make_video(tmp_path / "in.mp4", frames=FRAMES, options={"g": "5"}, container_options=options)
    assert not scan(probe(part)).warnings


@pytest.mark.parametrize("after", [0, 1])
def test_another_programme(tmp_path: Path, after: int) -> None:
    """FFmpeg makes streams of their own of it, which PyAV does not know of; at the end or in the middle of a file."""
    numbers = {"mpegts_start_pid": "0x200", "mpegts_pmt_start_pid": "0x1010", "mpegts_service_id": "7"}
    size = {"width": 192, "height": 160}
    first = make_video(tmp_path / "a.ts", audio=True, frames=250, **size)
    second = make_video(tmp_path / "b.ts", audio=True, frames=250, container_options=numbers, **size)
    line = scan(probe(joined(tmp_path / "in.ts", first, second, *[first] * after)))
    assert line.num_frames == 250 * (1 + after)
    assert any("of the file, in one piece, belong to streams" in told for told in line.warnings)
    assert not scan(probe(second)).warnings
