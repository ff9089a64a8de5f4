"""The method that ships with Limpid."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

from limpid.consistency.transition import NoiseRescheduling
from limpid.diffusion.samplers import Euler
from limpid.diffusion.schedules import karras_steps
from limpid.priors.tiny import TinyPrior, load_tiny, read_tiny_config
from limpid.settings import parse_consistency
from limpid.types import Method, Placement, Prior, SettingsError, Step, Strategy, WeightsError

TINY_FILE = "tiny.safetensors"
TINY_WEIGHTS = Path(str(files("limpid") / "weights" / TINY_FILE))
TINY_SIGMA_MAX = 80.0
TINY_SIGMA_MIN = 6.0
"""The last step leaves from here. With several steps, lower values add texture and error (see the model card)."""


def tiny(*, weights: str | Path = TINY_WEIGHTS, consistency: str = "none") -> Method:
    """Ours: a small residual diffusion model in patch space that ships with the package and runs on any CPU.

    Of the strategies, rescheduled noise fits: with several steps its texture follows the noise, which then comes back
    every 8 frames. Propagation does not, because a patch of 8x8 pixels cannot be warped by less than a patch, and
    transition would only cost time, because windows of a local network agree anyway.
    """
    path = Path(weights)
    if (path / TINY_FILE).is_file():  # the folder of a training
        path = path / TINY_FILE
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; leave out --weights for those that ship with Limpid")
    config, names = read_tiny_config(path), parse_consistency(consistency)
    if names - {"noise"}:
        raise SettingsError(f"consistency {consistency} does not fit the method tiny; it can be none or noise")

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
        strategy=NoiseRescheduling() if names else Strategy(),
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
