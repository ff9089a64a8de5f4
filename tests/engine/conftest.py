"""Methods that need no weights."""

from __future__ import annotations

import pytest

from limpid.diffusion.samplers import Euler
from limpid.diffusion.schedules import karras_steps
from limpid.types import Method


def _no_weights(device: object, dtype: object) -> None:
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
