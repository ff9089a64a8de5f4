"""What the tests of the measures share: the reference, and clips made from photos."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from skimage import data

from limpid.degrade import CameraPath, photo_clip
from limpid.metrics.detail import reduce_luma

REFERENCE = Path(__file__).parents[3] / "shared" / "spec" / "vsr_measures.py"
Clip = tuple[list[np.ndarray], list[np.ndarray]]


def reduced(frames: list[np.ndarray] | np.ndarray) -> list[np.ndarray]:
    """LR frames, uint8, reduced /4 without noise."""
    lr = [np.stack([reduce_luma(f[..., c].astype(np.float32)) for c in range(3)], -1) for f in frames]
    return [np.clip(np.rint(f), 0, 255).astype(np.uint8) for f in lr]


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The project's own reference of the measures, as one plain file."""
    if not REFERENCE.exists():
        pytest.skip("the reference of the measures is not beside the repository")
    spec = importlib.util.spec_from_file_location("vsr_measures", REFERENCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def reduce() -> Callable[[np.ndarray], list[np.ndarray]]:
    """Makes LR frames of a clip."""
    return reduced


@pytest.fixture(scope="session")
def clip() -> Clip:
    """Truth and LR: a pan over a photo, five frames."""
    return pan(num_frames=5, width=256, height=192)


@pytest.fixture(scope="session")
def long_pan() -> Clip:
    """Truth and LR: a pan over a photo, 16 small frames."""
    return pan(num_frames=16, width=160, height=128)


@pytest.fixture(scope="session")
def still() -> Clip:
    """Truth and LR: a fixed camera, 41 small frames."""
    photo = np.ascontiguousarray(data.astronaut()[100:228, 150:310])
    truth = [photo] * 41
    return truth, reduced(truth[:1]) * 41


def pan(*, num_frames: int, width: int, height: int) -> Clip:
    photo = np.ascontiguousarray(data.astronaut())
    path = CameraPath(center=(250, 200), velocity=(1.3, 0.6))
    truth = photo_clip(photo, path, num_frames=num_frames, width=width, height=height)
    return list(truth), reduced(truth)
