"""Broken and odd files for `tests/test_bad_inputs.py`, each made from scratch in a few milliseconds."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

FRAMES = 12
WIDTH, HEIGHT = 64, 48
FPS = 24


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A moving pattern, uint8 ``h w 3``."""
    y, x = np.mgrid[:height, :width]
    return np.stack([(x * 3 + number * 5) % 256, (y * 4) % 256, (x + y + number) % 256], axis=-1).astype(np.uint8)


def video(
    path: Path,
    *,
    frames: int = FRAMES,
    width: int = WIDTH,
    height: int = HEIGHT,
    fps: int | Fraction = FPS,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sound: bool = True,
    container: str | None = None,
) -> Path:
    """A small video, with a second of sound when it can hold some."""
    with av.open(str(path), "w", format=container) as out:
        options = {"g": "4"} if codec == "libx264" else {}
        stream: Any = out.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        audio: Any = out.add_stream("aac", rate=48000, layout="mono") if sound else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, width, height), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if audio is not None:
            write_sound(out, audio)
    return path


def write_sound(out: Any, audio: Any) -> None:
    for number in range(24):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, number * 1024
        out.mux(audio.encode(frame))
    out.mux(audio.encode(None))


def sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        write_sound(out, out.add_stream("aac", rate=48000, layout="mono"))
    return path


def image(path: Path, number: int = 0, width: int = WIDTH, height: int = HEIGHT, kind: str | None = None) -> Path:
    """A still; ``kind`` is what the bytes are when it is not what the name says."""
    done, data = cv2.imencode(kind or path.suffix, picture(number, width, height))
    assert done
    path.write_bytes(data.tobytes())
    return path


def images(folder: Path, count: int = 4, change: Callable[[Path], object] | None = None) -> Path:
    """A folder of stills; ``change`` spoils the third one."""
    folder.mkdir()
    for number in range(count):
        image(folder / f"{number}.png", number)
    if change is not None:
        change(folder / "2.png")
    return folder


def truncated(path: Path, part: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


def garbled(path: Path, start: float = 0.4, length: int = 600) -> Path:
    """Random bytes in the middle."""
    data = bytearray(path.read_bytes())
    at = int(len(data) * start)
    data[at : at + length] = random.Random(0).randbytes(len(data[at : at + length]))
    path.write_bytes(bytes(data))
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
