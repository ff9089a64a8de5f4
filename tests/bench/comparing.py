"""Small clips to compare: a moving pattern, a blurred copy, a copy with a fault, and a small input."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

FRAMES = 10
SIZE = (160, 96)
FAULT = (96, 32, 40, 40)
"""x, y, width, height."""
FAULT_FRAME = 6


def pattern(number: int) -> np.ndarray:
    small = np.random.default_rng(3).integers(0, 256, (14, 22, 3), dtype=np.uint8)
    large = np.asarray(cv2.resize(small, (176, 112), interpolation=cv2.INTER_CUBIC))
    return large[8:104, number : number + 160]


def write(folder: Path, frames: list[np.ndarray]) -> Path:
    """A folder of PNG images, which is a clip to Limpid and loses nothing."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        done, data = cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        assert done
        (folder / f"{number:03d}.png").write_bytes(data.tobytes())
    return folder


def clips(folder: Path, odd_name: str = "faulty") -> dict[str, Path]:
    """``truth``, ``blurred``, ``faulty`` (under ``odd_name``) and ``small``."""
    truth = [pattern(n) for n in range(FRAMES)]
    faulty = [frame.copy() for frame in truth]
    x, y, width, height = FAULT
    faulty[FAULT_FRAME][y : y + height, x : x + width] = 255
    return {
        "truth": write(folder / "truth", truth),
        "blurred": write(folder / "blurred", [np.asarray(cv2.GaussianBlur(f, (0, 0), 1.5)) for f in truth]),
        "faulty": write(folder / odd_name, faulty),
        "small": write(folder / "small", [np.asarray(cv2.resize(f, (40, 24))) for f in truth]),
    }
