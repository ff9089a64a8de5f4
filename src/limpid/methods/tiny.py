"""The method that ships with Limpid."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

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
from limpid.method import ENGINE_OPTIONS, Method, Prior, Strategy, Weights
from limpid.methods.common import SUMMARIES, motion_guided
from limpid.priors.tiny import (
    TinyConfig,
    load_between,
    load_tiny,
    read_tiny_config,
    residual_picture,
    trained_schedule,
)
from limpid.priors.tiny_ncnn import placed_tiny
from limpid.settings import Flow, Settings
from limpid.spellings import parse_consistency
from limpid.types import Placement, SettingsError, Step, WeightsError

TINY_FILE = "tiny.safetensors"
TINY_WEIGHTS = Path(str(files("limpid") / "weights" / TINY_FILE))
VIVID_FILE = "tiny_vivid.safetensors"
"""Where it lies beside `TINY_FILE`, the two are the ends between which `detail` chooses."""
TINY_DETAIL = 0.5
"""Where people look best at it (docs/tiny-look.md); 0 is the least error, 1 the most detail."""
TINY_SIGMA_MAX = 80.0
TINY_SIGMA_MIN = 6.0
"""The last step leaves from here. With several steps, lower values add texture and error (see the model card)."""


TINY_CUTS_WITH_MOTION = Blended(window_frames=16, window_overlap_frames=8, tile_overlap_px=32, joint_frames=4)
"""Motion guidance looks along the flow, as far as things move. So pieces are blended, not cropped to what is exact."""


def tiny(
    *,
    weights: str | Path = TINY_WEIGHTS,
    detail: float | None = None,
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
    """
    path, names = _weights_file(weights), _names(consistency)
    ends, config, trained = _ends(path, detail), read_tiny_config(path), trained_schedule(path)
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
        cuts=_cuts(config, names),
        cost=Cost(
            latent_bytes_per_px=4 * config.latent_channels // config.patch_px**2,
            work_bytes_per_px=256,
            direct_bytes_per_px=0 if names else 1024,
        ),
        weights=Weights(digest=ends.digest),
        options=ENGINE_OPTIONS | {"runtime"},
        runtimes=("torch", "ncnn"),
        chosen=ends.chosen,
    )


def _weights_file(weights: str | Path) -> Path:
    """The file itself, or that in the folder of a training. Raises WeightsError."""
    path = Path(weights) / TINY_FILE if (Path(weights) / TINY_FILE).is_file() else Path(weights)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; leave out --weights for those that ship with Limpid")
    return path


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ends:
    """The weights that run: one file, or a place on the line between two."""

    faithful: Path
    vivid: Path | None
    detail: float

    @property
    def chosen(self) -> dict[str, float]:
        return {} if self.vivid is None else {"detail": self.detail}

    def load(self, placement: Placement) -> Prior:
        if self.vivid is None:
            network = load_tiny(self.faithful)
        else:
            network = load_between(self.faithful, self.vivid, self.detail)
        return placed_tiny(network, placement)

    def digest(self) -> str:
        """Hash of the network that runs: at the ends that of the file, as if there were no other."""
        if self.vivid is None or self.detail == 0:
            return _sha256(self.faithful)
        if self.detail == 1:
            return _sha256(self.vivid)
        both = f"{_sha256(self.faithful)} {_sha256(self.vivid)} {self.detail!r}"
        return hashlib.sha256(both.encode()).hexdigest()


def _ends(path: Path, detail: float | None) -> _Ends:
    """Raises SettingsError where a detail was chosen, and there is no second end."""
    vivid = path.with_name(VIVID_FILE)
    if path.name == TINY_FILE and vivid.is_file():
        return _Ends(faithful=path, vivid=vivid, detail=TINY_DETAIL if detail is None else float(detail))
    if detail is not None:
        raise SettingsError(f"detail {detail:g} has no effect with {path}: {VIVID_FILE} is not beside it; leave it out")
    return _Ends(faithful=path, vivid=None, detail=0.0)


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


@cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
