"""Pictures, videos and shards to make training clips from."""

from __future__ import annotations

import io
import tarfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from limpid.video import inline_mp4


def texture(height: int, width: int, seed: int) -> np.ndarray:
    """A smooth colour picture, RGB uint8."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))


def save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[..., ::-1])


def counted(count: int, *, size: tuple[int, int] = (72, 96)) -> list[np.ndarray]:
    """Frames whose grey level is eight times their number."""
    return [np.full((*size, 3), 8 * number, np.uint8) for number in range(count)]


def mp4(frames: list[np.ndarray]) -> bytes:
    return inline_mp4(frames, fps=Fraction(24), crf=10)


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
