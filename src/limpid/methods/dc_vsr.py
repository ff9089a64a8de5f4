"""DC-VSR (Han et al. 2025): a video diffusion model on tiles in space and time, whose attention goes beyond them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from limpid.bounded import whole_number
from limpid.checkpoints.configs import read_config
from limpid.checkpoints.folders import installed, read_card
from limpid.choices import AttentionName, Flow, GuidanceName, ImageEmbedding
from limpid.consistency.attention_bank import LayerSize, bank_bytes
from limpid.consistency.attention_propagation import AttentionPropagation
from limpid.cuts.blended import Blended
from limpid.cuts.cost import Cost
from limpid.diffusion.samplers import Euler
from limpid.diffusion.schedules import karras_steps
from limpid.flow.installed import flow_estimator
from limpid.guidance.choice import choose_guidance, most_calls
from limpid.method import Guidance, Method, Strategy
from limpid.methods.common import (
    DC_VSR_NAME,
    SUMMARIES,
    guided,
    motion_guided,
    only_one,
    weights_in,
)
from limpid.options.declare import Needs
from limpid.priors.dc_vsr import PIXELS_PER_LATENT, SVDConditioning, latent_edge
from limpid.priors.load.dc_vsr import DCVSRFiles, load_dc_vsr
from limpid.settings import Settings
from limpid.tiling.plan import plan_tiles
from limpid.types import Step, WeightsError

SIGMA_MIN, SIGMA_MAX = 0.002, 700.0
"""Least and largest noise level; DC-VSR supplement E."""
_SCALE = 4
_STEPS = 25
"""The only number of steps in the paper (DC-VSR Fig. 3), and that of SVD."""
_GUIDANCE: GuidanceName = "dssag"
"""Unless the weights say otherwise: students that take few steps need none."""
_GUIDANCE_SCALE = 2.0
"""w; the paper gives none for video. SVD's rises from 1 in the first frame to 3 in the last, because only the first one
is given to it; here every frame is, so all get the mean."""
_WINDOW_FRAMES, _TILE_PX = 14, 128
"""64x64x14 latents, which stand for 128x128 LR pixels (DC-VSR section 3); all overlaps are one half."""
_NEEDS_MOTION = {
    "flow": Needs("flow has no effect without motion; add it to consistency", {"consistency": ("motion",)}),
}
"""In place of the option's own, which also names propagation."""
_WORK_BYTES_PER_PX = 24_000
"""Peak memory of a denoiser call per LR pixel and frame: measured 24 000 with 14 frames of 16x16 latents, 11 000 with a
whole tile of 64x64."""
_DECODE_BYTES_PER_PX = 180_000
"""Peak memory of one decoder call per LR pixel and frame; measured with 2 frames of 32x32."""


def dc_vsr(
    *,
    weights: str | None = None,
    guidance: GuidanceName | None = None,
    guidance_scale: float | None = None,
    attention: AttentionName = "sap+tap",
    attention_rate: float | None = None,
    attention_frames: int | None = None,
    image_embedding: ImageEmbedding = "zero",
    consistency: str = "none",
    motion_guidance: float | None = None,
    motion_guidance_limit: float | None = None,
    flow: Flow = "auto",
    joint_frames: int | None = None,
    conditioning: SVDConditioning | None = None,
) -> Method:
    """DC-VSR with its options; ``conditioning`` has what the paper leaves open, for those who call this from Python.

    ``image_embedding`` is one of its fields. Segments meet like windows: they have half a window in common, which is
    merged at the end. Raises SettingsError for an option without effect, WeightsError when the weights are not there.
    """
    folder = installed(DC_VSR_NAME, weights)
    plan = attention_plan(attention, attention_rate, attention_frames)
    guide = _guidance(guidance, guidance_scale, folder)
    files = DCVSRFiles(folder=folder, conditioning=conditioning or SVDConditioning(image_embedding=image_embedding))
    return Method(
        name=DC_VSR_NAME,
        summary=SUMMARIES[DC_VSR_NAME],
        load=partial(load_dc_vsr, files),
        scale=_SCALE,
        steps=int(read_card(folder).defaults.get("steps", _STEPS)),
        make_schedule=_schedule,
        sampler=Euler(),
        strategy=_strategy(consistency, (motion_guidance, motion_guidance_limit), flow, folder),
        attention=plan,
        cuts=_cuts(joint_frames),
        cost=_cost(plan, folder, branches=most_calls(guide)),
        weights=weights_in(folder, files.parameter_bytes()),
        **guided(guide, compiles=plan is None),
    )


def _guidance(name: GuidanceName | None, scale: float | None, folder: Path) -> Guidance | None:
    """As asked for, else as the weights were trained, else as in the paper."""
    chosen = name or read_card(folder).defaults.get("guidance", _GUIDANCE)
    return choose_guidance(chosen, scale, default_scale=_GUIDANCE_SCALE)


def _strategy(consistency: str, motion: tuple[float | None, float | None], flow: Flow, folder: Path) -> Strategy:
    """The plain sampler as in the paper, or MGLD's motion guidance; a latent pixel stands for 2x2 LR pixels."""
    scale, limit = motion
    names = only_one("motion", DC_VSR_NAME, consistency)
    by_motion: dict[str, Any] = {"motion_guidance": scale, "motion_guidance_limit": limit}
    Settings.refuse(_NEEDS_MOTION, consistency=names, flow=flow, **by_motion)
    if not names:
        return Strategy()
    return motion_guided(scale, limit, plane_px=_SCALE / PIXELS_PER_LATENT, estimator=flow_estimator(flow, folder))


def _cuts(joint_frames: int | None) -> Blended:
    """Windows and tiles of DC-VSR section 3, all overlaps one half; segments meet like windows."""
    half = _WINDOW_FRAMES // 2
    return Blended(
        joint_frames=half if joint_frames is None else joint_frames,
        segment_grid_frames=half,
        window_frames=_WINDOW_FRAMES,
        window_overlap_frames=half,
        window_weights="gaussian",
        tile_px=_TILE_PX,
        tile_overlap_px=_TILE_PX // 2,
        tile_weights="gaussian",
        decode_frames=9,  # with two in common they begin on the grid of segments
        decode_overlap_frames=2,
        decode_tile_overlap_px=16,
    )


def _cost(plan: AttentionPropagation | None, folder: Path, *, branches: int) -> Cost:
    """Memory of network calls, and of what is kept between them; ``branches``: calls that guidance makes of a tile."""
    measured = Cost(
        latent_bytes_per_px=4, work_bytes_per_px=_WORK_BYTES_PER_PX, decode_bytes_per_px=_DECODE_BYTES_PER_PX
    )
    if plan is None:
        return measured
    kept = partial(kept_bytes, plan, channels=outer_channels(folder), branches=branches)
    return replace(measured, kept_bytes=kept, kept_device_bytes=plan.device_bytes)


def _schedule(num_steps: int) -> tuple[Step, ...]:
    return karras_steps(num_steps, sigma_min=SIGMA_MIN, sigma_max=SIGMA_MAX)


def outer_channels(folder: Path) -> int:
    """Channels of the first and last self-attentions, from the U-Net's configuration. Raises WeightsError."""
    path = folder / "unet" / "config.json"
    try:
        return whole_number(read_config(path)["block_out_channels"][0], least=1, most=1 << 16)
    except (WeightsError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{path} is missing or damaged; convert the weights again") from error


def kept_bytes(
    plan: AttentionPropagation,
    width: int,
    height: int,
    frames: int,
    tile_px: int | None,
    *,
    channels: int,
    branches: int,
) -> int:
    """The most that is kept between network calls in float32; see `limpid.cuts.cost.Cost.kept_bytes`.

    ``channels``: of the layers that are changed; ``branches``: network calls that guidance makes of a tile.
    """
    rows, columns = (latent_edge(edge) for edge in (height, width))
    tile = latent_edge(tile_px or max(width, height))
    count = len(plan_tiles(rows, columns, tile, min(latent_edge(_TILE_PX // 2), tile // 2)))
    layer = LayerSize(height=min(rows, tile), width=min(columns, tile), channels=channels)
    sizes = bank_bytes(
        [layer] * (plan.first_layers + plan.last_layers),
        spatial_rate=plan.spatial_rate,
        temporal_frames=plan.temporal_frames,
        window_frames=frames,
        tiles=count,
        branches=branches,
        itemsize=4,
    )
    return max(sizes.values())


def attention_plan(name: AttentionName, rate: float | None, frames: int | None) -> AttentionPropagation | None:
    """Which keys and values tiles get from others; ``rate`` is the paper's s_SAP, ``frames`` its L.

    One of the two alone does nothing in the steps of the other. Raises SettingsError for a value without effect.
    """
    Settings.refuse(attention=name, attention_rate=rate, attention_frames=frames)
    if name == "none":
        return None
    chosen, plan = name.split("+"), AttentionPropagation()
    return AttentionPropagation(
        spatial_rate=(plan.spatial_rate if rate is None else rate) if "sap" in chosen else 0.0,
        temporal_frames=(plan.temporal_frames if frames is None else frames) if "tap" in chosen else 0,
    )
