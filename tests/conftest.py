"""What holds for every test: no network, few threads, and temporary folders only."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# Set before torch, OpenCV and FFmpeg are loaded: pytest-xdist already uses every core.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# What lies in the cache of whoever runs the tests must not matter.
os.environ["LIMPID_WEIGHTS"] = str(Path(__file__).parent / "no-weights-here")

# A loaded machine must not fail the suite, and a failure must come again when the test is repeated.
settings.register_profile("limpid", deadline=None, derandomize=True, database=None)
settings.load_profile("limpid")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def golden_folder(repository: Path) -> Path:
    """Inputs, weights and outputs of the official modules, where they are at hand."""
    folder = repository.parent / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("the golden tensors are not here")
    return folder


@dataclass(frozen=True)
class Golden:
    """One item of the golden tensors: its description, its weights (numbers in float32) and its cases."""

    meta: dict[str, Any]
    weights: dict[str, Any]
    cases: dict[str, Any]


@pytest.fixture(scope="session")
def golden(golden_folder: Path) -> Callable[[str], Golden]:
    from safetensors.torch import load_file

    def load(item: str) -> Golden:
        file = golden_folder / f"{item}.weights.safetensors"
        weights = load_file(file) if file.exists() else {}
        return Golden(
            meta=json.loads((golden_folder / f"{item}.json").read_text()),
            weights={key: value.float() if value.is_floating_point() else value for key, value in weights.items()},
            cases=load_file(golden_folder / f"{item}.cases.safetensors"),
        )

    return load


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to connect fails the test, so that the suite means the same on every machine."""

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family == getattr(socket, "AF_UNIX", None):
            return original(self, address)
        raise AssertionError(f"a test tried to connect to {address}")

    original = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refuse)


def _no_weights(placement: object) -> None:
    raise AssertionError("these tests load nothing")


@pytest.fixture(scope="session")
def local_method() -> Any:
    """A local method with a halo of 4 frames."""
    from limpid.cuts.local import Local
    from limpid.diffusion.samplers import Euler
    from limpid.diffusion.schedules import karras_steps
    from limpid.method import Method

    return Method(
        name="fake",
        summary="",
        load=_no_weights,  # type: ignore[arg-type, return-value]
        scale=4,
        steps=1,
        make_schedule=lambda n: karras_steps(n, sigma_min=0.1, sigma_max=10.0, rho=7.0),
        sampler=Euler(),
        cuts=Local(reach_frames=4, reach_px=8),
    )


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48x32, 40 frames at 25 per second, with sound; a cut at frame 15."""
    import media

    def draw(index: int) -> np.ndarray:
        return media.shot_picture(index, 48, 32, [15])

    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return Path(media.make_video(path, width=48, height=32, frames=40, audio=True, draw=draw))
