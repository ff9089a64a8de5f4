"""Methods that need no weights, and a short clip with sound."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from limpid.diffusion.samplers import Euler
from limpid.diffusion.schedules import karras_steps
from limpid.types import Method

sys.path.insert(0, str(Path(__file__).parent.parent / "video"))  # the generator of test media: ``import media``


def _no_weights(placement: object) -> None:
    raise AssertionError("these tests load nothing")


@pytest.fixture(scope="session")
def local_method() -> Method:
    """A local method with a halo of 4 frames."""
    return Method(
        name="fake",
        summary="",
        load=_no_weights,  # type: ignore[arg-type, return-value]
        scale=4,
        steps=1,
        make_schedule=lambda n: karras_steps(n, sigma_min=0.1, sigma_max=10.0, rho=7.0),
        sampler=Euler(),
        local=True,
        reach_frames=4,
        reach_px=8,
    )


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48x32, 40 frames at 25 per second, with sound; a cut at frame 15."""
    import media

    def draw(index: int) -> np.ndarray:
        return media.shot_picture(index, 48, 32, [15])

    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return Path(media.make_video(path, width=48, height=32, frames=40, audio=True, draw=draw))
