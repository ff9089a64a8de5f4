"""What several methods share: their summaries, options of the large ones, which weights they stand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from limpid.checkpoints.folders import read_card, weights_digest
from limpid.consistency.combine import Combined
from limpid.consistency.motion_guidance import MOTION_LIMIT, MotionGuidance
from limpid.durable.files import digest_of
from limpid.flow.estimate import FlowEstimator
from limpid.flow.installed import flow_digest, flow_file_used, flow_is_random
from limpid.guidance.choice import changes_attention
from limpid.method import Guidance, Method, Strategy, Weights
from limpid.spellings import parse_consistency
from limpid.types import SettingsError

MGLD_VSR_NAME, DC_VSR_NAME, STREAM_DIFFVSR_NAME = "mgld-vsr", "dc-vsr", "stream-diffvsr"
SUMMARIES = {
    "small": "ships with Limpid; the sharper of its two own models",
    "tiny": "ships with Limpid; faster, and a diffusion model in patch space",
    "image": "any image network, frame by frame: --weights MODEL.param (ncnn), .pth or .safetensors (spandrel)",
    MGLD_VSR_NAME: "MGLD-VSR (Yang et al. 2024): Stable Diffusion 2.1 guided along the motion, a decoder over time",
    DC_VSR_NAME: (
        "DC-VSR (Han et al. 2025): Stable Video Diffusion on tiles in space and time, which share their attention"
    ),
    STREAM_DIFFVSR_NAME: "Stream-DiffVSR (2025): frame by frame in four steps, each told what the one before became",
    "upscale-a-video": (
        "Upscale-A-Video (Zhou et al. 2024): detail by a text-guided video U-Net, propagation along the flow"
    ),
    "diffvsr": (
        "DiffVSR (Li et al. 2025): multi-scale temporal attention, windows that share noise and are blended once"
    ),
    "lavie-vsr": "the video upscaler of LaVie (Wang et al. 2023), ancestor of the two above",
    "sd-x4-upscaler": ("the image model they are made from, frame by frame; it flickers, and is here to compare with"),
}
"""What the methods are in a line, also those whose weights are not here."""
LARGE_OPTIONS = frozenset(
    ("steps", "strength", "seed", "color", "tile_px", "window_frames", "offload", "attention_kernel", "compile")
)
"""Settings of the engine that have an effect with every large method."""


def guided(guide: Guidance | None, *, compiles: bool = True, windows: bool = True) -> dict[str, Any]:
    """Guidance as a field of `Method`, and the options that go with it.

    ``compiles``: False where attention is changed from call to call, as some guidance does too: a compiled network
    cannot follow that. ``windows``: whether the network sees several frames.
    """
    silent = set() if windows else {"window_frames"}
    if not compiles or changes_attention(guide):
        silent.add("compile")
    return {"guidance": guide, "options": LARGE_OPTIONS - silent}


def only_one(name: str, method: str, consistency: str) -> frozenset[str]:
    """The names in an option consistency of a method that has ``name`` and no other. Raises SettingsError."""
    names = parse_consistency(consistency)
    if names - {name}:
        raise SettingsError(f"consistency {consistency} does not fit the method {method}; it can be none or {name}")
    return names


def motion_guided(
    scale: float | None, limit: float | None, *, own_limit: float | None = MOTION_LIMIT, **fields: Any
) -> MotionGuidance:
    """Motion guidance by the options motion_guidance and motion_guidance_limit, None where they are the method's own.

    A limit of 0 is none.
    """
    chosen = own_limit if limit is None else limit or None
    return MotionGuidance(scale=MotionGuidance.scale if scale is None else scale, limit=chosen, **fields)


def weights_in(folder: Path, network_bytes: Mapping[str, int]) -> Weights:
    """Converted weights in a folder; ``network_bytes``: in float32, of each network that can be on the device."""
    return Weights(digest=lambda: weights_digest(folder), network_bytes=network_bytes, random=read_card(folder).random)


def with_flow_weights(method: Method) -> Method:
    """The method with the flow networks that its strategy asks among its weights: they decide the bytes, too."""
    files = [file for file in map(flow_file_used, _estimators(method.strategy)) if file is not None]
    if not files:
        return method
    own = method.weights

    def digest() -> str:
        return digest_of([own.digest(), *(flow_digest(file) for file in files)])

    random = own.random or any(flow_is_random(file) for file in files)
    return replace(method, weights=replace(own, digest=digest, random=random))


def _estimators(strategy: Strategy) -> list[FlowEstimator]:
    """The flow estimators of a strategy and of those that it is combined of."""
    parts = strategy.strategies if isinstance(strategy, Combined) else (strategy,)
    return [found for part in parts if (found := getattr(part, "estimator", None)) is not None]
