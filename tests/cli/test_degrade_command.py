"""``limpid degrade``: what it writes is exactly what was computed, and what it refuses it explains."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from limpid.cli.degrade import DESCRIPTION
from limpid.degrade import PIPELINES, Drawn, apply_to_clip
from limpid.types import Window
from limpid.video import FrameReader, probe, scan
from limpid.video.lossless import LosslessWriter

FRAMES, HEIGHT, WIDTH = 5, 70, 91  # 17x22 at scale 4: an odd height, and two rows and three columns to cut


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for number in range(FRAMES):
        picture = np.stack([x * 2 + number, y * 3, (x + y) % 200], -1).astype(np.uint8)
        cv2.imwrite(str(path / f"{number}.png"), picture)
    return path


def read(path: Path) -> np.ndarray:
    clip = probe(path)
    timeline = scan(clip)
    with FrameReader(clip, timeline) as reader:
        return np.stack([frame.pixels for frame in reader.read(Window(start=0, stop=timeline.num_frames))])


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov", "out"])
def test_the_degraded_pixels_are_what_is_stored(
    name: str, folder: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    output = tmp_path / name
    ran = cli("degrade", folder, output, "--seed", "5")
    assert ran.code == 0 and ran.out == f"{output}\n"
    assert "cut to 88x68, a multiple of 4" in ran.err
    record = json.loads((tmp_path / f"{name}.degraded.json").read_text())
    drawn = Drawn.from_json(record["degradation"])
    assert (drawn.pipeline, drawn.seed, drawn.num_frames) == ("realbasicvsr", 5, FRAMES)
    stored = read(output)
    assert np.array_equal(stored, apply_to_clip(read(folder)[:, :68, :88], drawn))
    assert record["pixels_sha256"] == hashlib.sha256(stored.tobytes()).hexdigest()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_same_seed_again_from_the_record_and_another_seed(
    folder: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    hashes = []
    first = ["--seed", 1, "--frames", 3, "--pipeline", "mgld"]
    again = ["--from", tmp_path / "0.mkv.degraded.json"]
    for number, options in enumerate([first, first, again, ["--seed", 2, *first[2:]]]):
        ran = cli("degrade", folder, tmp_path / f"{number}.mkv", "--json", *options)
        assert ran.code == 0, ran.err
        said = json.loads(ran.out)
        assert said["frames"] == 3 and said["pipeline"] == "mgld" and said["cropped"]
        hashes.append(said["sha256"])
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]
    assert (tmp_path / "0.mkv").read_bytes() == (tmp_path / "1.mkv").read_bytes()


def test_times_of_a_video_stay(tmp_path: Path, cli: Callable[..., Any]) -> None:
    source, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
    times = [0, 512, 1536, 2048]
    with LosslessWriter(source, fps=Fraction(25), time_base=Fraction(1, 12800)) as writer:
        for number, frame in enumerate(np.full((4, 64, 64, 3), 90, np.uint8)):
            writer.write(frame, times[number])
    assert cli("degrade", source, output, "--pipeline", "bicubic", "--scale", 2).code == 0
    made = scan(probe(output))
    assert [pts * made.time_base for pts in made.pts] == [Fraction(time, 12800) for time in times]
    assert read(output).shape == (4, 32, 32, 3)


def test_overwriting_is_asked_for(folder: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    for output in (tmp_path / "a.mkv", tmp_path / "images"):
        first = ["degrade", folder, output, "--pipeline", "bicubic"]
        assert cli(*first).code == 0
        refused = cli(*first)
        assert refused.code == 4 and "exists already" in refused.err
        assert cli(*first, "--overwrite", "--frames", 2).code == 0
        assert len(read(output)) == 2


REFUSED = [
    (["missing.mp4", "out.mkv"], 3, "there is no such file"),
    (["in", "out.avi"], 4, ".avi cannot be written: use .mkv, .mp4, .mov"),
    (["in", "in"], 4, "is the input itself"),
    (["in", "no/such/out.mkv"], 4, "the folder does not exist"),
    (["in", "out.mkv", "--pipeline", "magic"], 2, "--pipeline magic is unknown: use one of bicubic"),
    (["in", "out.mkv", "--seed", "-1"], 2, "--seed -1 is negative"),
    (["in", "out.mkv", "--frames", "0"], 2, "--frames 0 is too few"),
    (["in", "out.mkv", "--scale", "99"], 2, "--scale 99 is out of range"),
    (["in", "out.mkv", "--scale", "16"], 3, "80x64 is too small for scale 16: both sides need at least 128"),
    (["in", "out.mkv", "--fps", "fast"], 2, "--fps fast is no frame rate"),
    (["in", "out.mkv", "--from", "x.json", "--seed", "1"], 2, "--seed has no effect with --from"),
    (["in", "out.mkv", "--from", "x.json"], 3, "x.json: cannot be read"),
    (["in", "out.mkv", "--from", "in/0.png"], 3, "is not the record of a degradation"),
    (["text.mp4", "out.mkv"], 3, "text.mp4"),
    (["in"], 2, "OUTPUT is missing"),
]


@pytest.mark.parametrize(("arguments", "code", "says"), REFUSED)
def test_bad_input_gets_a_sentence(
    arguments: list[str],
    code: int,
    says: str,
    folder: Path,
    tmp_path: Path,
    cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("no video")
    ran = cli("degrade", *arguments)
    assert ran.code == code and says in ran.err and ran.err.count("\n") == 1, ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "text.mp4"]


def test_a_record_for_another_clip_is_refused(folder: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    record = tmp_path / "a.mkv.degraded.json"
    assert cli("degrade", folder, tmp_path / "a.mkv", "--pipeline", "simple").code == 0
    (folder / "4.png").unlink()
    ran = cli("degrade", folder, tmp_path / "b.mkv", "--from", record)
    assert ran.code == 3 and "has 4 frames of 91x70, the parameters are for 5 of 88x68" in ran.err


def test_the_help_names_every_pipeline() -> None:
    listed = DESCRIPTION.split("pipelines:")[1].replace("\n", " ").split(",")
    assert [name.strip() for name in listed] == list(PIPELINES)
