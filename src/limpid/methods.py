"""Every method, as a composition of parts. Start reading here; `limpid.parts.Method` says what the fields mean.

A third party adds a method through the entry point group ``limpid.methods``: a name and a function without arguments
that returns a `Method`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

from limpid.diffusion.samplers import Euler
from limpid.diffusion.schedules import karras_steps
from limpid.priors.tiny import TinyPrior, load_tiny, read_tiny_config
from limpid.types import Method, Placement, Prior, SettingsError, Step

TINY_WEIGHTS = Path(str(files("limpid") / "weights" / "tiny.safetensors"))
TINY_SIGMA_MAX = 80.0
TINY_SIGMA_MIN = 6.0
"""The last step leaves from here. With several steps, lower values add texture and error (see the model card)."""


def tiny(weights: Path = TINY_WEIGHTS) -> Method:
    """Ours: a small residual diffusion model in patch space that ships with the package and runs on any CPU."""
    config = read_tiny_config(weights)

    def load(placement: Placement) -> Prior:
        return TinyPrior(load_tiny(weights), device=placement.device, dtype=placement.dtype)

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
        weights_hash=lambda: _sha256(weights),
    )


def _tiny_schedule(num_steps: int) -> tuple[Step, ...]:
    return karras_steps(num_steps, sigma_min=TINY_SIGMA_MIN, sigma_max=TINY_SIGMA_MAX, rho=7.0)


@cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


METHODS: dict[str, Callable[[], Method]] = {"tiny": tiny}
"""Name -> function that composes the method. Nothing is loaded before it is called."""


def find_method(name: str) -> Method:
    """The method of that name, ours or installed through the entry point group. Raises SettingsError."""
    if name in METHODS:
        return METHODS[name]()
    installed = {entry.name: entry for entry in entry_points(group="limpid.methods")}
    if name in installed:
        method: Method = installed[name].load()()
        return method
    known = ", ".join(sorted({*METHODS, *installed}))
    raise SettingsError(f"there is no method {name!r}; the methods here are: {known}")
