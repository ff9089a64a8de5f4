"""Frames of a clip as one array, and arrays as folders of PNG, with a hash of their pixels."""

from __future__ import annotations

import hashlib
import os
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from limpid.types import InputError, OutputError, Window
from limpid.video import FrameReader, probe, scan
from limpid.video.files import writing


def read_frames(path: Path, count: int | None = None) -> tuple[np.ndarray, Fraction]:
    """The first ``count`` frames (all without it) of a video or a folder of images, and its frame rate.

    Returns:
        RGB uint8 ``t h w 3``; deeper pictures are rounded to 8 bits, transparency is left out.

    Raises:
        InputError: it cannot be read.
    """
    clip = probe(path)
    timeline = scan(clip, detect_cuts=False)
    stop = timeline.num_frames if count is None else min(count, timeline.num_frames)
    with FrameReader(clip, timeline) as reader:
        frames = [_eight_bit(reader.read(Window(start=i, stop=i + 1))[0].pixels) for i in range(stop)]
    return np.stack(frames), clip.fps


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    rgb = pixels[..., :3]
    return rgb.copy() if rgb.dtype == np.uint8 else np.rint(rgb / 257.0).astype(np.uint8)


def write_frames(folder: Path, frames: np.ndarray) -> None:
    """Write RGB uint8 ``t h w 3`` as ``00000000.png`` and on; the folder is whole or not there. Raises OutputError."""
    half = folder.with_name(f".{folder.name}.part")
    with writing(folder):
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        for number, frame in enumerate(frames):
            (half / f"{number:08d}.png").write_bytes(_png(frame, folder))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(half, folder)  # noqa: PTH105


def _png(frame: np.ndarray, folder: Path) -> bytes:
    ok, data = cv2.imencode(".png", np.ascontiguousarray(frame[..., ::-1]))
    if not ok:
        raise OutputError(f"{folder}: a frame of {frame.shape[1]}x{frame.shape[0]} cannot be written as PNG")
    return bytes(data)


def pixel_hash(frames: np.ndarray) -> str:
    """SHA-256 of shape and pixels: the same for the same pictures, however they are stored."""
    digest = hashlib.sha256(repr(frames.shape).encode())
    digest.update(np.ascontiguousarray(frames).data)
    return digest.hexdigest()


def cropped(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """The top left part. Raises InputError when the frames are smaller than that."""
    if frames.shape[1] < height or frames.shape[2] < width:
        raise InputError(f"the frames are {frames.shape[2]}x{frames.shape[1]}, at least {width}x{height} are needed")
    return frames[:, :height, :width]
