"""Segments are durable, self-contained, and vanish when writing them fails."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from writing import CONSTANT, RATE, UNIT, VARIABLE, pictures, write_segments

from limpid.types import InputError, OutputError, OutputSpec
from limpid.video import SegmentWriter, count_frames, frame_pts
from limpid.video.picture import quantise

SPEC = OutputSpec(codec="ffv1", container="mkv", width=64, height=48, fps=RATE, time_base=UNIT)
IMAGES = replace(SPEC, codec="images", container="images")


@pytest.fixture
def tiny_disk() -> Iterator[None]:
    """Files of this process cannot grow past 20 kB: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "ffv1", "prores"])
@pytest.mark.parametrize("pts", [CONSTANT, VARIABLE, tuple(p + 10**9 for p in VARIABLE)])
def test_times_are_kept(tmp_path: Path, codec: str, pts: tuple[int, ...]) -> None:
    spec = replace(SPEC, codec=codec)  # type: ignore[arg-type]
    (path,) = write_segments(tmp_path, spec, pictures(12), pts, [12])
    start = pts[0] if codec == "prores" else 0
    assert count_frames(path) == 12
    assert [p - frame_pts(path, UNIT)[0] for p in frame_pts(path, UNIT)] == [p - pts[0] for p in pts]
    assert frame_pts(path, UNIT)[0] in (pts[0], start)


def test_negative_times_start_at_zero(tmp_path: Path) -> None:
    (path,) = write_segments(tmp_path, SPEC, pictures(2), [-512, 0], [2])
    assert frame_pts(path, UNIT) == [0, 512]


def _write_and_fail(writer: SegmentWriter) -> None:
    writer.write(pictures(2), [0, 1])
    raise KeyError


@pytest.mark.parametrize("spec", [SPEC, IMAGES])
def test_an_exception_leaves_nothing(tmp_path: Path, spec: OutputSpec) -> None:
    with pytest.raises(KeyError), SegmentWriter(tmp_path / "s", spec) as writer:
        _write_and_fail(writer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", [SPEC, IMAGES])
def test_an_empty_segment_is_refused(tmp_path: Path, spec: OutputSpec) -> None:
    with pytest.raises(ValueError, match="at least one frame"), SegmentWriter(tmp_path / "s", spec):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("codec", ["ffv1", "h264", "prores", "images"])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, tiny_disk: None, codec: str) -> None:
    spec = replace(SPEC, codec=codec, crf=0, width=256, height=256)  # type: ignore[arg-type]
    noise = torch.rand(4, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with pytest.raises(OutputError, match="cannot be written"), SegmentWriter(tmp_path / "s", spec) as writer:
        writer.write(noise, range(4))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder does not exist"):
        SegmentWriter(tmp_path / "no" / "s", SPEC)


@pytest.mark.parametrize("pts", [[0, 0], [5, 4], [0]])
def test_times_must_increase_and_be_complete(tmp_path: Path, pts: list[int]) -> None:
    with pytest.raises(ValueError), SegmentWriter(tmp_path / "s", SPEC) as writer:
        writer.write(pictures(2), pts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "depth", "channels"), [("png", 8, 3), ("png", 16, 4), ("tif", 16, 3), ("webp", 8, 4)])
def test_images_are_exact_and_named_by_frame(tmp_path: Path, kind: str, depth: int, channels: int) -> None:
    spec = replace(IMAGES, image_format=kind, bit_depth=depth, alpha=channels == 4)
    frames = pictures(3, channels=channels)
    frames[:, 3:] = frames[:, 3:].clamp_min(0.1)  # colour under full transparency is not defined in webp
    with SegmentWriter(tmp_path / "s", spec, first_frame=41) as writer:
        writer.write(frames, [0, 1, 2])
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == [f"000000{n}.{kind}" for n in (41, 42, 43)]
    assert frame_pts(tmp_path / "s") == [41, 42, 43]
    due = quantise(frames, depth, 48, 64)
    for number, exact in enumerate(due, start=41):
        bgr = cv2.imread(str(tmp_path / "s" / f"{number:08d}.{kind}"), cv2.IMREAD_UNCHANGED)
        assert bgr is not None
        assert (bgr[..., [2, 1, 0, 3][:channels]] == exact).all()


def test_jpeg_is_close(tmp_path: Path) -> None:
    frames = pictures(1)
    write_segments(tmp_path, replace(IMAGES, image_format="jpg"), frames, [0], [1])
    bgr = cv2.imread(str(tmp_path / "segment0000" / "00000000.jpg"))
    assert bgr is not None
    assert np.abs(bgr[..., ::-1].astype(int) - quantise(frames, 8, 48, 64)[0]).mean() < 4


def test_what_is_not_a_video_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"nothing" * 100)
    with pytest.raises(InputError):
        count_frames(tmp_path / "x.mp4")
    with pytest.raises(InputError):
        frame_pts(tmp_path / "x.mp4", Fraction(1))
