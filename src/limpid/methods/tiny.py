"""The method that ships with Limpid."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

from limpid.consistency.combine import Combined
from limpid.consistency.motion_guidance import MotionGuidance
from limpid.consistency.transition import NoiseRescheduling
from limpid.cuts.base import Cuts
from limpid.cuts.blended import Blended
from limpid.cuts.cost import Cost
from limpid.cuts.local import Local
from limpid.diffusion.samplers import Euler
from limpid.diffusion.schedules import karras_steps
from limpid.method import Method, Prior, Strategy, Weights
from limpid.methods.common import SUMMARIES
from limpid.priors.tiny import TinyConfig, TinyPrior, load_tiny, read_tiny_config, residual_picture, trained_schedule
from limpid.settings import Settings
from limpid.spellings import parse_consistency
from limpid.types import Placement, SettingsError, Step, WeightsError

TINY_FILE = "tiny.safetensors"
TINY_WEIGHTS = Path(str(files("limpid") / "weights" / TINY_FILE))
TINY_SIGMA_MAX = 80.0
TINY_SIGMA_MIN = 6.0
"""The last step leaves from here. With several steps, lower values add texture and error (see the model card)."""


TINY_CUTS_WITH_MOTION = Blended(window_frames=16, window_overlap_frames=8, tile_overlap_px=32, joint_frames=4)
"""Motion guidance looks along the flow, as far as things move. So pieces are blended, not cropped to what is exact."""


def tiny(
    *, weights: str | Path = TINY_WEIGHTS, consistency: str = "none", motion_guidance: float | None = None
) -> Method:
    """Ours: a small residual diffusion model in patch space that ships with the package and runs on any CPU.

    Of the strategies, rescheduled noise fits: with several steps its texture follows the noise, which then comes back
    every 8 frames. So does motion guidance, which warps the picture that the latent stands for. Propagation does not,
    because a patch of 8x8 pixels cannot be warped by less than a patch, and transition would only cost time, because
    windows of a local network agree anyway.
    """
    path, names = _weights_file(weights), _names(consistency)
    config, trained = read_tiny_config(path), trained_schedule(path)

    def load(placement: Placement) -> Prior:
        return TinyPrior(load_tiny(path), device=placement.device, dtype=placement.dtype)

    return Method(
        name="tiny",
        summary=SUMMARIES["tiny"],
        load=load,
        scale=config.scale,
        steps=int(trained.get("steps", 1)),
        make_schedule=partial(
            _tiny_schedule,
            sigma_min=trained.get("sigma_min", TINY_SIGMA_MIN),
            sigma_max=trained.get("sigma_max", TINY_SIGMA_MAX),
        ),
        sampler=Euler(),
        strategy=_tiny_strategy(names, motion_guidance, config),
        cuts=_cuts(config, names),
        cost=Cost(
            latent_bytes_per_px=4 * config.latent_channels // config.patch_px**2,
            work_bytes_per_px=256,
        ),
        weights=Weights(digest=lambda: _sha256(path)),
    )


def _weights_file(weights: str | Path) -> Path:
    """The file itself, or that in the folder of a training. Raises WeightsError."""
    path = Path(weights) / TINY_FILE if (Path(weights) / TINY_FILE).is_file() else Path(weights)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; leave out --weights for those that ship with Limpid")
    return path


def _names(consistency: str) -> frozenset[str]:
    names = parse_consistency(consistency)
    if names - {"noise", "motion"}:
        raise SettingsError(
            f"consistency {consistency} does not fit the method tiny; it can be none, or noise, motion joined by +"
        )
    return names


def _cuts(config: TinyConfig, names: frozenset[str]) -> Cuts:
    """Exact, unless motion guidance looks along the flow."""
    if "motion" in names:
        return replace(TINY_CUTS_WITH_MOTION, context_frames=config.radius_frames)
    return Local(reach_frames=config.radius_frames, reach_px=config.radius_px, decode_reach_px=2)


def _tiny_strategy(names: frozenset[str], motion: float | None, config: TinyConfig) -> Strategy:
    Settings.refuse(consistency=names, motion_guidance=motion)
    parts: list[Strategy] = [NoiseRescheduling()] if "noise" in names else []
    if "motion" in names:
        plane, scale = partial(residual_picture, config=config), MotionGuidance.scale if motion is None else motion
        parts.append(MotionGuidance(scale=scale, plane=plane, plane_px=config.scale))
    return parts[0] if len(parts) == 1 else Combined(strategies=tuple(parts)) if parts else Strategy()


def _tiny_schedule(num_steps: int, sigma_min: float, sigma_max: float) -> tuple[Step, ...]:
    return karras_steps(num_steps, sigma_min=sigma_min, sigma_max=sigma_max, rho=7.0)


@cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
