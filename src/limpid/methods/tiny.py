"""The method that ships with Limpid."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path

from limpid.choices import Flow
from limpid.consistency.combine import Combined
from limpid.consistency.transition import NoiseRescheduling
from limpid.cuts.base import Cuts
from limpid.cuts.blended import Blended
from limpid.cuts.cost import Cost
from limpid.cuts.local import Local
from limpid.diffusion.samplers import Euler
from limpid.diffusion.schedules import karras_steps
from limpid.flow.estimate import LastFlows
from limpid.flow.installed import flow_estimator
from limpid.method import ENGINE_OPTIONS, Method, Strategy, Weights
from limpid.methods.between import weights_file
from limpid.methods.common import SUMMARIES, motion_guided
from limpid.methods.tiny_ends import TINY_FILE, find_ends
from limpid.priors.cleaned import CleanerConfig, read_cleaner_config
from limpid.priors.tiny import TinyConfig, read_tiny_config, residual_picture, trained_schedule
from limpid.settings import Settings
from limpid.spellings import parse_consistency
from limpid.types import SettingsError, Step

TINY_WEIGHTS = Path(str(files("limpid") / "weights" / TINY_FILE))
TINY_SIGMA_MAX = 80.0
TINY_SIGMA_MIN = 6.0
"""The last step leaves from here. With several steps, lower values add texture and error (see the model card)."""


TINY_CUTS_WITH_MOTION = Blended(window_frames=16, window_overlap_frames=8, tile_overlap_px=32, joint_frames=4)
"""Motion guidance looks along the flow, as far as things move. So pieces are blended, not cropped to what is exact."""


def tiny(
    *,
    weights: str | Path = TINY_WEIGHTS,
    detail: float | None = None,
    denoise: float | None = None,
    consistency: str = "none",
    motion_guidance: float | None = None,
    motion_guidance_limit: float | None = None,
    flow: Flow = "auto",
) -> Method:
    """Ours: a small residual diffusion model in patch space that ships with the package and runs on any CPU.

    Of the strategies, rescheduled noise fits: with several steps its texture follows the noise, which then comes back
    every 8 frames. So does motion guidance, which warps the picture that the latent stands for. Propagation does not,
    because a patch of 8x8 pixels cannot be warped by less than a patch, and transition would only cost time, because
    windows of a local network agree anyway.

    ``detail``, 0 to 1, interpolates between the weights of two ends, faithful and vivid, where both are there: the
    vivid network was trained on from the faithful one, and the networks on the line between them are good ones, too.
    ``denoise``, 0 to 1, is how much a cleaner of LR frames, which goes before the network, takes away.
    """
    path, names = weights_file(weights, TINY_FILE), _names(consistency)
    ends, config, trained = find_ends(path, detail, denoise), read_tiny_config(path), trained_schedule(path)
    cleaner = None if ends.cleaner is None else read_cleaner_config(ends.cleaner.first)
    return Method(
        name="tiny",
        summary=SUMMARIES["tiny"],
        load=ends.load,
        scale=config.scale,
        steps=int(trained.get("steps", 1)),
        make_schedule=partial(
            _tiny_schedule,
            sigma_min=trained.get("sigma_min", TINY_SIGMA_MIN),
            sigma_max=trained.get("sigma_max", TINY_SIGMA_MAX),
        ),
        sampler=Euler(),
        strategy=_tiny_strategy(names, motion_guidance, motion_guidance_limit, flow, config),
        cuts=_cuts(config, names, cleaner),
        cost=_cost(config, names, cleaner),
        weights=Weights(digest=ends.digest),
        options=ENGINE_OPTIONS | {"runtime"},
        runtimes=("torch", "ncnn"),
        chosen=ends.chosen,
    )


def _names(consistency: str) -> frozenset[str]:
    names = parse_consistency(consistency)
    if names - {"noise", "motion"}:
        raise SettingsError(
            f"consistency {consistency} does not fit the method tiny; it can be none, or noise, motion joined by +"
        )
    return names


def _cuts(config: TinyConfig, names: frozenset[str], cleaner: CleanerConfig | None) -> Cuts:
    """Exact, unless motion guidance looks along the flow."""
    if "motion" in names:
        return replace(TINY_CUTS_WITH_MOTION, context_frames=config.radius_frames)
    reach = config.radius_px + (cleaner.radius_px if cleaner else 0)
    return Local(reach_frames=config.radius_frames, reach_px=reach, decode_reach_px=2)


def _cost(config: TinyConfig, names: frozenset[str], cleaner: CleanerConfig | None) -> Cost:
    """A cleaner is through with a frame before the network has it, and knows one at a time: what counts is the larger
    of both where frames go one by one; elsewhere what it returns, the change and the cleaned frames."""
    return Cost(
        latent_bytes_per_px=4 * config.latent_channels // config.patch_px**2,
        work_bytes_per_px=256 + (2 * 12 if cleaner else 0),
        direct_bytes_per_px=0 if names else max(1024, cleaner.work_bytes_per_px if cleaner else 0),
    )


def _tiny_strategy(
    names: frozenset[str], motion: float | None, limit: float | None, flow: Flow, config: TinyConfig
) -> Strategy:
    Settings.refuse(consistency=names, motion_guidance=motion, motion_guidance_limit=limit, flow=flow)
    parts: list[Strategy] = [NoiseRescheduling()] if "noise" in names else []
    if "motion" in names:
        plane, estimator = partial(residual_picture, config=config), LastFlows(flow_estimator(flow))
        parts.append(motion_guided(motion, limit, plane=plane, plane_px=config.scale, estimator=estimator))
    return parts[0] if len(parts) == 1 else Combined(strategies=tuple(parts)) if parts else Strategy()


def _tiny_schedule(num_steps: int, sigma_min: float, sigma_max: float) -> tuple[Step, ...]:
    return karras_steps(num_steps, sigma_min=sigma_min, sigma_max=sigma_max, rho=7.0)
