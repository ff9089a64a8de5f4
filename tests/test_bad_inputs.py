"""Broken and odd files and commands through the real command line.

Whatever comes: one sentence and a documented exit code, no traceback, no hang, and nothing under the name of the output
unless it is whole. What is only odd must work.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bad_files as make
import pytest

from limpid.cli.main import main

HANG_S = 120


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise AssertionError(f"still running after {HANG_S} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def limpid(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """``limpid upscale ARGUMENTS...``; stderr includes what libraries in C print."""
    monkeypatch.delenv("LIMPID_DEBUG", raising=False)

    def run(*arguments: str | Path) -> Ran:
        capfd.readouterr()
        code = main(["upscale", "-q", "--scale", "2", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        assert code in (0, 2, 3, 4, 5), err
        return Ran(code, out, err)

    return run


# ------------------------------------------------------------------------------------------- refused inputs

REFUSED: dict[str, Callable[[Path], Path]] = {
    "missing file": lambda d: d / "nothing.mp4",
    "empty folder": lambda d: _folder(d / "empty"),
    "folder without images": lambda d: make.written(_folder(d / "texts") / "a.txt", b"text").parent,
    "empty file": lambda d: make.written(d / "empty.mp4", b""),
    "text named mp4": lambda d: make.written(d / "text.mp4", b"This is a text.\n" * 100),
    "text named png": lambda d: make.written(d / "text.png", b"This is a text.\n" * 100),
    "random bytes named mkv": lambda d: make.written(d / "noise.mkv", os.urandom(20_000)),
    "zeros named ts": lambda d: make.written(d / "zeros.ts", bytes(20_000)),
    "sound only": lambda d: make.sound_only(d / "sound.m4a"),
    "sound only named mp4": lambda d: make.sound_only(d / "sound.mp4"),
    "mp4 cut before its index": lambda d: make.truncated(make.video(d / "cut.mp4"), 0.5),
    "header only": lambda d: make.truncated(make.video(d / "head.mkv", sound=False), 0.05),
    "1x1 image": lambda d: make.image(d / "dot.png", width=1, height=1),
    "8x8 video": lambda d: make.video(d / "small.mkv", width=8, height=8, codec="ffv1", pix_fmt="bgr0", sound=False),
    "images of two sizes": lambda d: make.images(d / "sizes", change=lambda p: make.image(p, width=80)),
    "images that are text": lambda d: make.written(_folder(d / "texts") / "1.png", b"no image").parent,
    "broken link": lambda d: _link(d / "link.mp4", d / "gone.mp4"),
    "named pipe": lambda d: _pipe(d / "pipe.mp4"),
    "device": lambda d: Path("/dev/null"),
    "name too long": lambda d: d / f"{'a' * 300}.mp4",
    "name with a null byte": lambda d: d / "a\0b.mp4",
}


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _link(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


def _pipe(path: Path) -> Path:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("kind", REFUSED)
def test_inputs_that_cannot_be_used(limpid: Callable[..., Ran], tmp_path: Path, kind: str) -> None:
    source = REFUSED[kind](tmp_path)
    ran = limpid(source, tmp_path / "result.mp4")
    assert ran.code == 3, ran.err
    assert ran.err.startswith("limpid: ") and ran.err.count("\n") == 1
    assert not (tmp_path / "result.mp4").exists()
    assert not [path for path in tmp_path.iterdir() if "result" in path.name], "something was left behind"


def test_an_input_that_may_not_be_read(limpid: Callable[..., Ran], tmp_path: Path) -> None:
    source = make.video(tmp_path / "film.mp4")
    source.chmod(0)
    if os.access(source, os.R_OK):
        pytest.skip("this user may read everything")
    ran = limpid(source, tmp_path / "result.mp4")
    assert ran.code == 3 and "permission" in ran.err.lower()


def test_an_input_that_the_system_refuses(
    limpid: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for users who may read everything."""
    source = make.video(tmp_path / "film.mp4")
    real = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == source:
            raise PermissionError(errno.EACCES, "Permission denied", str(source))
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    ran = limpid(source, tmp_path / "result.mp4")
    assert ran.code == 3 and "permission" in ran.err.lower()


# -------------------------------------------------------------------------------------- odd but usable inputs

ODD: dict[str, tuple[Callable[[Path], Path], int | None]] = {
    "mkv cut in the middle": (lambda d: make.truncated(make.video(d / "cut.mkv", frames=96, sound=False), 0.6), None),
    "garbage in the middle": (lambda d: make.garbled(make.video(d / "bad.mkv", frames=48, sound=False)), None),
    "one image is text": (lambda d: make.images(d / "p", change=lambda p: p.write_bytes(b"no image")), None),
    "one image is empty": (lambda d: make.images(d / "p", change=lambda p: p.write_bytes(b"")), None),
    "one frame": (lambda d: make.video(d / "one.mp4", frames=1), 1),
    "16x16": (lambda d: make.video(d / "small.mp4", width=16, height=16), 12),
    "odd size": (lambda d: make.video(d / "odd.mkv", width=65, height=49, codec="ffv1", pix_fmt="bgr0"), 12),
    "1000 frames per second": (lambda d: make.video(d / "fast.mkv", fps=1000, sound=False), 12),
    "half a frame per second": (lambda d: make.video(d / "slow.mkv", fps=make.Fraction(1, 2), sound=False), 12),
    "raw stream without timestamps": (lambda d: make.video(d / "raw.h264", sound=False, container="h264"), 12),
    "no suffix": (lambda d: make.video(d / "film.mp4").rename(d / "film"), 12),
    "wrong suffix": (lambda d: make.video(d / "film.mp4").rename(d / "film.avi"), 12),
    "odd name": (lambda d: make.video(d / "film.mp4").rename(d / "a b\n\u6620\u753b '\"%d[1].mp4"), 12),
    "name like an address": (lambda d: make.video(d / "film.mp4").rename(d / "http:film.mp4"), 12),
    "link": (lambda d: _link(d / "link.mp4", make.video(d / "film.mp4")), 12),
    "animated gif": (lambda d: make.video(d / "film.gif", codec="gif", pix_fmt="rgb8", sound=False), 12),
    "one image": (lambda d: make.image(d / "photo.png"), 1),
    "image with a wrong suffix": (lambda d: make.images(d / "p", change=lambda p: make.image(p, 2, kind=".jpg")), 4),
    "folder with other files": (lambda d: make.written(make.images(d / "p") / "notes.txt", b"").parent, 4),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_inputs_work(limpid: Callable[..., Ran], tmp_path: Path, kind: str) -> None:
    from limpid.video import count_frames

    builder, frames = ODD[kind]
    output = tmp_path / "result.mkv"
    ran = limpid(builder(tmp_path), "-o", output)
    assert ran.code == 0, ran.err
    if frames is not None:
        assert count_frames(output) == frames
    else:
        assert 1 <= count_frames(output) < 96
        assert "warning: " in ran.err, "the loss is reported"


def test_a_batch_of_good_and_bad(limpid: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    make.video(tmp_path / "in" / "a.mp4", frames=3)
    make.written(tmp_path / "in" / "b.mp4", b"no video")
    make.video(tmp_path / "in" / "c.mp4", frames=3)
    ran = limpid(tmp_path / "in", tmp_path / "out")
    assert ran.code == 3
    assert {path.name for path in (tmp_path / "out").glob("*.mp4")} == {"a_x2.mp4", "c_x2.mp4"}


# ------------------------------------------------------------------------------------------------- outputs


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return Path(make.video(tmp_path / "film.mp4", frames=4))


def test_an_output_that_exists(limpid: Callable[..., Ran], film: Path, tmp_path: Path) -> None:
    output = make.written(tmp_path / "result.mp4", b"precious")
    assert limpid(film, "-o", output).code == 4
    assert output.read_bytes() == b"precious"
    assert limpid(film, "-o", output, "--overwrite").code == 0
    assert output.stat().st_size > 1000


def test_an_output_in_a_new_folder(limpid: Callable[..., Ran], film: Path, tmp_path: Path) -> None:
    assert limpid(film, tmp_path / "a" / "b" / "result.mp4").code == 0
    assert (tmp_path / "a" / "b" / "result.mp4").exists()


@pytest.mark.parametrize(
    ("output", "options", "codes"),
    [
        ("film.mp4", (), {4}),
        ("film.mp4", ("--overwrite",), {4}),
        ("film.mp4/result.mp4", (), {4}),
        ("result.avi", ("--codec", "h264"), {2, 4}),
        ("result.xyz", (), {2, 4}),
        ("result.mp4", ("--codec", "prores"), {2, 4}),
        ("result.mp4", ("--codec", "ffv1", "--bit-depth", "10"), {0, 2, 4}),
        ("result.mp4", ("--codec", "images"), {2, 4}),
        (f"{'b' * 300}.mp4", (), {4}),
        ("full", ("--codec", "images"), {4}),
        ("result.mp4", ("--preset", "warp"), {2}),
        ("result.mp4", ("--preview", "00:10-00:20"), {2}),
        ("result.mp4", ("--method", "magic"), {2}),
        ("result.mp4", ("--device", "cuda:99"), {2}),
        ("result.mp4", ("--scale", "0"), {2}),
        ("result.mp4", ("--scale", "nan"), {2}),
        ("result.mp4", ("--steps", "0"), {2}),
        ("result.mp4", ("--strength", "2"), {2}),
        ("result.mp4", ("--crf", "99"), {2}),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else str(value)[:20],
)
def test_outputs_and_options_that_cannot_be(
    limpid: Callable[..., Ran], film: Path, tmp_path: Path, output: str, options: tuple[str, ...], codes: set[int]
) -> None:
    make.images(tmp_path / "full", count=1)
    before = film.read_bytes()
    ran = limpid(film, "-o", tmp_path / output, *options)
    assert ran.code in codes, ran.err
    assert film.read_bytes() == before
    assert ran.code == 0 or not (tmp_path / "result.mp4").exists()


def test_a_folder_that_may_not_be_written(
    limpid: Callable[..., Ran], film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **k: Path(path) != closed and real(path, mode, **k))
    ran = limpid(film, "-o", closed / "result.mp4")
    assert ran.code == 4 and "permission" in ran.err


# ------------------------------------------------------------------------------------- disk, journal, sidecar


def test_too_little_disk_space_is_seen_before(
    limpid: Callable[..., Ran], film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    ran = limpid(film, tmp_path / "result.mp4")
    assert ran.code in (4, 5) and not (tmp_path / "result.mp4").exists()


def test_a_disk_that_fills_up(
    limpid: Callable[..., Ran], film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        ran = limpid(film, tmp_path / "result.mp4")
    assert ran.code in (4, 5) and not (tmp_path / "result.mp4").exists()
    assert ran.err.count("\n") == 1 and ("space" in ran.err or "full" in ran.err)
    assert limpid(film, tmp_path / "result.mp4").code == 0, "with space again the same command works"


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"{", b"[]", b'{"a": 1}\n'], ids=repr)
def test_a_corrupt_work_folder(limpid: Callable[..., Ran], film: Path, tmp_path: Path, data: bytes) -> None:
    assert limpid(film, tmp_path / "result.mp4", "--keep-work").code == 0
    good = (tmp_path / "result.mp4").read_bytes()
    (tmp_path / "result.mp4").unlink()
    work = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(work) == 1
    for path in work[0].iterdir():
        if path.suffix == ".json" or "journal" in path.name:
            path.write_bytes(data)
    assert limpid(film, tmp_path / "result.mp4").code == 0
    assert (tmp_path / "result.mp4").read_bytes() == good


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "{}", '{"limpid_sidecar": 1, "input": 3}', '{"limpid_sidecar": 99}'], ids=repr
)
def test_a_broken_sidecar(limpid: Callable[..., Ran], tmp_path: Path, text: str) -> None:
    sidecar = tmp_path / "film.limpid.json"
    sidecar.write_text(text)
    ran = limpid("--from", sidecar)
    assert ran.code in (2, 3) and ran.err.count("\n") == 1


def test_a_sidecar_whose_input_is_gone(limpid: Callable[..., Ran], film: Path, tmp_path: Path) -> None:
    assert limpid(film, tmp_path / "result.mp4").code == 0
    sidecar = tmp_path / "result.mp4.limpid.json"
    assert json.loads(sidecar.read_text())["settings"]["scale"] == 2
    film.unlink()
    ran = limpid("--from", sidecar, tmp_path / "again.mp4")
    assert ran.code == 3 and not (tmp_path / "again.mp4").exists()
