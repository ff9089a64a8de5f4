"""The bar 'joins': codec x container x {constant rate, variable rate, one-frame segments}, plays, times exact."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from writing import CONSTANT, UNIT, VARIABLE, clip, decode_all, pictures, rgb16, timeline, write_segments

from limpid.types import OutputError, OutputSpec
from limpid.video import assemble, frame_pts, resolve_output, segment_spec
from limpid.video.join import Clock
from limpid.video.output import CODECS

PAIRS = [(codec, container) for container, codecs in CODECS.items() for codec in codecs]
LENGTHS = {"constant": (5, 4, 3), "variable": (5, 4, 3), "one frame": (1, 1, 4, 1, 5), "one in all": (1,)}


def joined(folder: Path, codec: str, container: str, case: str, **options: object) -> tuple[Path, tuple[int, ...]]:
    pts = VARIABLE if case == "variable" else CONSTANT
    pts = pts[: sum(LENGTHS[case])]
    line = timeline(pts, last=700)
    output = folder / f"out.{container}"
    wishes = {"width": 64, "height": 48, "codec": codec, "crf": 16, "bit_depth": None, "threads": 2, **options}
    source = clip(folder / "nothing.png", kind="images")
    spec, _ = resolve_output(source, line, output, **wishes)  # type: ignore[arg-type]
    pieces, reason = segment_spec(spec, line)
    assert reason is None
    segments = write_segments(folder, pieces, pictures(len(pts)), pts, LENGTHS[case])
    assert assemble(segments, output, spec, source, line) == ()
    return output, pts


def decode_order(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [p for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize("case", LENGTHS)
@pytest.mark.parametrize(("codec", "container"), PAIRS)
def test_joins(tmp_path: Path, codec: str, container: str, case: str) -> None:
    path, pts = joined(tmp_path, codec, container, case)
    frames = decode_all(path)
    assert len(frames) == len(pts)
    unit = Fraction(frames[0].time_base)
    due = [floor(p * UNIT / unit + Fraction(1, 2)) if container == "mkv" else p * UNIT / unit for p in pts]
    assert [f.pts for f in frames] == due  # exact; to the millisecond in mkv, which counts in nothing finer
    packets = decode_order(path)
    dts = [p.dts for p in packets if p.dts is not None]
    assert dts == sorted(set(dts))
    assert all(p.dts is None or p.dts <= p.pts for p in packets)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert file.duration == pytest.approx(float((pts[-1] - min(0, pts[0]) + 700) * UNIT) * 1e6, abs=1000)
        if case == "constant" and container != "mkv":
            assert abs(float(stream.average_rate or 0) - 25) < 1
        if container == "mkv":
            assert stream.average_rate == 25


@pytest.mark.parametrize(("codec", "container"), [("h264", "mp4"), ("h265", "mkv"), ("av1", "mp4")])
def test_the_joint_does_not_touch_pictures(tmp_path: Path, codec: str, container: str) -> None:
    """Every segment decodes to the same pictures alone and joined: nothing refers across a joint."""
    path, _ = joined(tmp_path, codec, container, "one frame")
    alone = [f for n in range(5) for f in decode_all(tmp_path / f"segment{n:04d}")]
    assert all((rgb16(a) == rgb16(b)).all() for a, b in zip(decode_all(path), alone, strict=True))


@pytest.mark.parametrize("depth", [8, 10])
def test_ten_bits_go_through(tmp_path: Path, depth: int) -> None:
    path, _ = joined(tmp_path, "h265", "mp4", "constant", bit_depth=depth)
    assert decode_all(path)[0].format.name == ("yuv420p10le" if depth == 10 else "yuv420p")


@pytest.mark.parametrize("unit", [Fraction(1, 30), Fraction(1001, 30000), Fraction(1, 90000), Fraction(1, 1200000)])
def test_clocks_of_all_kinds_are_exact_in_mp4(tmp_path: Path, unit: Fraction) -> None:
    step = max(1, round(Fraction(1, 30) / unit))
    pts = [3 * step + step * i for i in range(6)]
    line = timeline(pts, unit=unit, last=step)
    source = clip(tmp_path / "x", kind="images", fps=Fraction(30000, 1001), time_base=unit)
    output = tmp_path / "o.mp4"
    spec, _ = resolve_output(source, line, output, width=64, height=48, codec=None, crf=20, bit_depth=8, threads=1)
    assemble(write_segments(tmp_path, spec, pictures(6), pts, (2, 4)), output, spec, source, line)
    with av.open(str(output)) as file:
        real = Fraction(file.streams.video[0].time_base)
    assert [t * real for t in frame_pts(output)] == [p * unit for p in pts]


def test_segments_of_other_settings_are_refused(tmp_path: Path) -> None:
    line, source, output = timeline(CONSTANT[:4]), clip(kind="images"), tmp_path / "o.mp4"
    spec, _ = resolve_output(source, line, output, width=64, height=48, codec=None, crf=20, bit_depth=8, threads=1)
    segments = write_segments(tmp_path, spec, pictures(4), CONSTANT[:4], (2, 2))
    with pytest.raises(OutputError, match="headers"):
        assemble(segments, output, replace(spec, bit_depth=10), source, line)
    assert not output.exists()


@pytest.mark.parametrize("kept", [1, 3])
def test_a_wrong_number_of_frames_is_refused(tmp_path: Path, kept: int) -> None:
    line, source, output = timeline(CONSTANT[:4]), clip(kind="images"), tmp_path / "o.mkv"
    spec, _ = resolve_output(source, line, output, width=64, height=48, codec="ffv1", crf=0, bit_depth=8, threads=1)
    segments = write_segments(tmp_path, spec, pictures(6), CONSTANT[:6], (2, 2, 2))
    with pytest.raises(OutputError):
        assemble(segments[:kept], output, spec, source, line)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["segment0000", "segment0001", "segment0002"]


@pytest.mark.parametrize("depth", [8, 10])
def test_lossless_stand_ins_are_encoded_once_to_the_same_bytes_as_without_them(tmp_path: Path, depth: int) -> None:
    line, source = timeline(VARIABLE), clip(kind="images")
    outputs = []
    for name, stand_in in (("direct", False), ("stand-in", True)):
        folder = tmp_path / name
        folder.mkdir()
        output = folder / "o.mp4"
        spec, _ = resolve_output(
            source, line, output, width=64, height=48, codec="h264", crf=16, bit_depth=depth, threads=1
        )
        pieces = _stand_in(spec) if stand_in else spec
        lengths = (5, 7) if stand_in else (12,)
        segments = write_segments(folder, pieces, pictures(12), VARIABLE, lengths)
        assemble(segments, output, spec, source, line)
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]


def _stand_in(spec: OutputSpec) -> OutputSpec:
    return replace(spec, codec="ffv1", bit_depth=8 if spec.bit_depth == 8 else 16, crf=0, preset=None)


def test_unsound_encoders_get_lossless_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    from limpid.video import output as module

    line = timeline()
    spec, _ = resolve_output(clip(), line, "o.mp4", width=66, height=48, codec="h264", crf=16, bit_depth=10, threads=1)
    monkeypatch.setattr(module, "_trial_header", lambda spec, shades, count: bytes([count]))
    module._trial_headers.cache_clear()
    pieces, reason = segment_spec(spec, line)
    module._trial_headers.cache_clear()
    assert pieces == _stand_in(spec)
    assert reason is not None
    assert "headers" in reason


@settings(max_examples=200, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 5000), min_size=1, max_size=30),
    depth=st.integers(0, 4),
    start=st.integers(-5000, 5000),
    data=st.data(),
)
def test_decoding_times_are_sound_for_any_pattern(gaps: list[int], depth: int, start: int, data: st.DataObject) -> None:
    """dts increase strictly, never pass pts, and stored durations add up to the length, for any closed-GOP order."""
    pts = [start]
    for gap in gaps[:-1]:
        pts.append(pts[-1] + gap)
    clock = Clock(pts=tuple(pts), time_base=UNIT, last_duration=gaps[-1])
    order = _some_decoding_order(len(pts), depth, data)
    dts = [clock.decode_time(n, depth) for n in range(len(pts))]
    assert all(a < b for a, b in pairwise(dts))
    assert all(d <= pts[index] for d, index in zip(dts, order, strict=True))
    last = clock.stored_duration(order[-1], len(pts) - 1, depth)
    assert last > 0
    assert dts[-1] + last - dts[0] == pts[-1] + gaps[-1] - pts[0]


def _some_decoding_order(count: int, depth: int, data: st.DataObject) -> list[int]:
    """A permutation in which no frame waits for more than ``depth`` later ones."""
    waiting, order = list(range(count)), []
    while waiting:
        held_back = max(0, depth - sum(1 for index in order if index > waiting[0]))
        order.append(waiting.pop(data.draw(st.integers(0, min(held_back, len(waiting) - 1)))))
    return order
