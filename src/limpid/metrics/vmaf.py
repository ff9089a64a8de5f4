"""VMAF by an FFmpeg that has libvmaf: that of the package imageio-ffmpeg, else the one on the search path.

Both clips go to FFmpeg through one pipe as RGB frames, result above truth, and are cut apart there; the only files are
the log and what FFmpeg says, in a temporary folder. x with x is about 97 to 100: the regression was fitted to people's
scores, and a first frame has no motion.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from limpid.metrics.kinds import NotMeasurableError

MODEL = "vmaf_v0.6.1"
# BT.601 of 16..235 is also what FFmpeg takes where nothing is said, and what PSNR (Y) here uses
YUV = "scale=flags=bicubic+accurate_rnd+full_chroma_int:out_color_matrix=bt601:out_range=tv,format=yuv420p"
_LOG = "vmaf.json"
_SMALLEST = 17  # pixels; libvmaf crashes below
SECONDS, SECONDS_PER_FRAME = 60, 10


def frames_vmaf(sr: np.ndarray, gt: np.ndarray) -> list[float]:
    """VMAF of each frame, about 0 to 100, higher is nearer to the truth; uint8 RGB ``t h w 3`` of the same size.

    Raises NotMeasurableError where no FFmpeg with libvmaf is found, or it does not measure these frames.
    """
    height, width = sr.shape[1:3]
    if min(height, width) < _SMALLEST:
        raise NotMeasurableError(f"VMAF needs {_SMALLEST}x{_SMALLEST} pixels, not {width}x{height}")
    program = find_ffmpeg()
    with tempfile.TemporaryDirectory(prefix="limpid-vmaf-") as folder:
        code = _run(program, sr, gt, Path(folder))
        said = (Path(folder) / "errors").read_text(errors="replace").strip().splitlines()
        if code:
            raise NotMeasurableError(f"{program} failed with {code}: {said[-1] if said else 'it said nothing'}")
        values = _read(Path(folder) / _LOG)
    if len(values) != len(sr):
        raise NotMeasurableError(f"{program} measured {len(values)} frames of {len(sr)}")
    return values


def find_ffmpeg() -> str:
    """Path of an FFmpeg that has libvmaf; NotMeasurableError that says what to install where there is none."""
    found = [program for program in (_packaged(), shutil.which("ffmpeg")) if program]
    for program in found:
        if _has_libvmaf(program):
            return program
    seen = f"{' and '.join(found)} without libvmaf" if found else "no ffmpeg"
    raise NotMeasurableError(f"needs ffmpeg with libvmaf, found {seen}; pip install imageio-ffmpeg brings one (GPL)")


def _packaged() -> str | None:
    try:
        return str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError, OSError):  # RuntimeError: the package has no program for this system
        return None


@cache
def _has_libvmaf(program: str) -> bool:
    command = [program, "-hide_banner", "-filters"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return any("libvmaf" in line.split()[:2] for line in listed.stdout.splitlines())


def _command(program: str, height: int, width: int) -> list[str]:
    threads = min(os.cpu_count() or 1, 8)
    graph = (
        f"[0:v]split[a][b];[a]crop={width}:{height}:0:0,{YUV}[result];[b]crop={width}:{height}:0:{height},{YUV}[truth];"
        f"[result][truth]libvmaf=model=version={MODEL}:log_fmt=json:log_path={_LOG}:n_threads={threads}"
    )
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{width}x{2 * height}", "-framerate", "25"]
    return [program, "-v", "error", "-nostats", *raw, "-i", "pipe:0", "-lavfi", graph, "-f", "null", "-"]


def _run(program: str, sr: np.ndarray, gt: np.ndarray, folder: Path) -> int:
    """The exit code of FFmpeg; the log and what was said are in the folder."""
    command = _command(program, *sr.shape[1:3])
    with (folder / "errors").open("wb") as errors:
        try:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
            )
        except OSError as error:
            raise NotMeasurableError(f"{program} cannot be started: {error}") from error
        watch = threading.Timer(SECONDS + SECONDS_PER_FRAME * len(sr), process.kill)
        watch.start()
        try:
            _feed(process, _stacked(sr, gt))
            return process.wait()
        finally:
            watch.cancel()
            process.kill()
            process.wait()


def _feed(process: subprocess.Popen[bytes], frames: Iterator[bytes]) -> None:
    """Writes frames until all are written, or the program has ended: its exit code tells of that."""
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            for frame in frames:
                pipe.write(frame)
    except OSError:
        return


def _stacked(sr: np.ndarray, gt: np.ndarray) -> Iterator[bytes]:
    return (np.concatenate(pair).tobytes() for pair in zip(sr, gt, strict=True))


def _read(log: Path) -> list[float]:
    try:
        return [float(frame["metrics"]["vmaf"]) for frame in json.loads(log.read_text())["frames"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotMeasurableError(f"ffmpeg left no log of VMAF that can be read ({error})") from error
