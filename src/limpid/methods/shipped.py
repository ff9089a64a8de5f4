"""The method that ships with Limpid."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

from limpid.diffusion.samplers import Euler
from limpid.diffusion.schedules import karras_steps
from limpid.priors.tiny import TinyPrior, load_tiny, read_tiny_config
from limpid.types import Method, Placement, Prior, Step

TINY_WEIGHTS = Path(str(files("limpid") / "weights" / "tiny.safetensors"))
TINY_SIGMA_MAX = 80.0
TINY_SIGMA_MIN = 6.0
"""The last step leaves from here. With several steps, lower values add texture and error (see the model card)."""


def tiny(*, weights: str | Path = TINY_WEIGHTS) -> Method:
    """Ours: a small residual diffusion model in patch space that ships with the package and runs on any CPU."""
    path = Path(weights)
    config = read_tiny_config(path)

    def load(placement: Placement) -> Prior:
        return TinyPrior(load_tiny(path), device=placement.device, dtype=placement.dtype)

    return Method(
        name="tiny",
        summary="small model that ships with Limpid; fast on a plain CPU",
        load=load,
        scale=config.scale,
        steps=1,
        make_schedule=_tiny_schedule,
        sampler=Euler(),
        local=True,
        reach_frames=config.radius_frames,
        reach_px=config.radius_px,
        decode_reach_px=2,
        work_bytes_per_px=256,
        weights_hash=lambda: _sha256(path),
    )


def _tiny_schedule(num_steps: int) -> tuple[Step, ...]:
    return karras_steps(num_steps, sigma_min=TINY_SIGMA_MIN, sigma_max=TINY_SIGMA_MAX, rho=7.0)


@cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
