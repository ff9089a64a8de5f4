"""MGLD-VSR: Stable Diffusion 2.1 told of the input's structure, motion-guided sampling, a decoder over time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from limpid.checkpoints.folders import installed, read_card
from limpid.choices import AutoencoderName, Flow, GuidanceName, SamplerName
from limpid.consistency.motion_guidance import MOTION_LIMIT
from limpid.cuts.blended import Blended
from limpid.cuts.cost import Cost
from limpid.diffusion.samplers import SAMPLERS
from limpid.diffusion.schedules import Spacing, vp_steps
from limpid.flow.installed import flow_estimator
from limpid.guidance.choice import choose_text_guidance
from limpid.method import Guidance, Method, Sampler, Strategy
from limpid.methods.common import MGLD_VSR_NAME, SUMMARIES, guided, motion_guided, only_one, weights_in
from limpid.options.declare import Needs
from limpid.priors.load.kept import LoadWithTexts
from limpid.priors.load.mgld_vsr import MGLDVSRFiles, load_mgld_vsr
from limpid.priors.load.schedule_config import read_betas, read_schedule
from limpid.priors.load.upscaler import with_other_texts
from limpid.priors.prompts import PromptBook, parse_prompts
from limpid.settings import Settings
from limpid.types import SettingsError, Step

_STEPS = 50
_SAMPLER: SamplerName = "ddpm"
"""Unless the weights say otherwise, as those of students that take few steps do."""
_WINDOW_FRAMES = 5
_WINDOW_OVERLAP_FRAMES = 2
_TILE_PX = 128
"""64 latent pixels: what the released network was trained on."""
_TILE_OVERLAP_PX = 64
LATENT_PER_LR_PX = 0.5
DECODER_WEIGHT = 0.5
"""Weight of the encoder's features in the decoder; the paper names none, 0.5 is the default of the released program."""
TEXT_GUIDANCE = 3.0
"""Where guidance is asked for without a weight; the network was trained without texts, so the paper has none."""
RELEASED_GUIDANCE: dict[str, Any] = {
    "pairing_compat": True,
    "log_variance_compat": True,
    "occlusion_compat": True,
    "reduction": "mean",
    "limit": None,
}
NEEDS_MOTION = {
    name: Needs(
        f"{name} has no effect without motion; leave consistency out, or add it there", {"consistency": ("motion",)}
    )
    for name in ("motion_guidance", "motion_guidance_limit", "flow")
}
"""In place of the options' own: here motion is what there is unless the user takes it away."""
_WORK_BYTES_PER_PX = 15_000
"""Peak memory of one denoiser call per LR pixel and frame in float32: measured with 5 frames, 13 100 at 64x64 px (32x32
latents) and 7 300 at 128x128."""
_DECODE_BYTES_PER_PX = 75_000
"""Peak memory of one decoder call per LR pixel and frame in float32, with the features that it follows: measured 72 800
with 2 frames of 48x48 px."""


def mgld_vsr(
    *,
    weights: str | None = None,
    prompt: str = "",
    negative_prompt: str = "",
    prompts: str | None = None,
    guidance: GuidanceName | None = None,
    guidance_scale: float | None = None,
    sampler: SamplerName | None = None,
    consistency: str = "motion",
    motion_guidance: float | None = None,
    motion_guidance_limit: float | None = None,
    joint_frames: int | None = None,
    flow: Flow = "auto",
    autoencoder: AutoencoderName = "video",
    decoder_weight: float | None = None,
    released: bool = False,
) -> Method:
    """The method with its options.

    Raises SettingsError for options that do not go together, WeightsError when the weights are not there.
    """
    check_decoder_options(autoencoder, decoder_weight)
    folder = installed(MGLD_VSR_NAME, weights)
    per_shot = {} if prompts is None else parse_prompts(prompts)
    book = PromptBook(prompt=prompt, negative=negative_prompt, per_shot=per_shot)
    trained = read_card(folder).defaults
    weight = trained.get("decoder_weight", DECODER_WEIGHT) if decoder_weight is None else decoder_weight
    files = MGLDVSRFiles(folder=folder, temporal_decoder=autoencoder == "video", decoder_weight=float(weight))
    steps_by: SamplerName = sampler or trained.get("sampler", _SAMPLER)
    motion, own_limit = (motion_guidance, motion_guidance_limit), None if steps_by == "ddpm" else MOTION_LIMIT
    return replace(
        method_of(files, book, SAMPLERS[steps_by]),
        cuts=_cuts(joint_frames, released=released),
        strategy=motion_strategy(consistency, motion, flow, folder, own_limit=own_limit, released=released),
        **guided(text_guidance(guidance, guidance_scale, book)),
    )


def method_of(files: MGLDVSRFiles, book: PromptBook, sampler: Sampler) -> Method:
    """The method without options that change the loop: networks, texts, sampler."""
    folder = files.folder
    return Method(
        name=MGLD_VSR_NAME,
        summary=SUMMARIES[MGLD_VSR_NAME],
        load=LoadWithTexts(
            partial(load_mgld_vsr, files, book=book), partial(with_other_texts, folder=folder, book=book)
        ),
        scale=4,
        steps=int(read_card(folder).defaults.get("steps", _STEPS)),
        make_schedule=lambda num_steps: _schedule(folder, num_steps),
        sampler=sampler,
        start="noised_input",
        color="adain",
        cuts=Blended(),
        cost=Cost(work_bytes_per_px=_WORK_BYTES_PER_PX, decode_bytes_per_px=_DECODE_BYTES_PER_PX),
        weights=weights_in(folder, files.parameter_bytes()),
    )


def check_decoder_options(autoencoder: AutoencoderName, decoder_weight: float | None) -> None:
    """Refuses what would have no effect."""
    if autoencoder == "light":
        raise SettingsError(f"the method {MGLD_VSR_NAME} has no autoencoder light; it can be image or video")
    Settings.refuse(autoencoder=autoencoder, decoder_weight=decoder_weight)


def _cuts(joint_frames: int | None, *, released: bool) -> Blended:
    """Windows, tiles, decoder chunks, and how segments meet; the released code's windows know nothing of each other."""
    overlap = 0 if released else _WINDOW_OVERLAP_FRAMES
    if released and joint_frames:
        raise SettingsError(f"joint_frames is {joint_frames}; with released, segments are not joined: leave it out")
    joint = _WINDOW_OVERLAP_FRAMES if joint_frames is None else joint_frames
    return Blended(
        window_frames=_WINDOW_FRAMES,
        window_overlap_frames=overlap,
        segment_grid_frames=_WINDOW_FRAMES - overlap,
        joint_frames=0 if released else joint,
        tile_px=_TILE_PX,
        tile_overlap_px=_TILE_OVERLAP_PX,
        tile_weights="gaussian_compat" if released else "gaussian",
        decode_frames=_WINDOW_FRAMES,
        decode_overlap_frames=overlap,
        decode_tile_overlap_px=16,
    )


def motion_strategy(
    consistency: str,
    motion: tuple[float | None, float | None],
    flow: Flow,
    folder: Path,
    *,
    own_limit: float | None,
    released: bool = False,
) -> Strategy:
    """Motion-guided sampling on latents of which one stands for 2x2 LR pixels, or the plain sampler.

    ``motion``: motion_guidance and motion_guidance_limit; where that is None, ``own_limit`` holds.
    """
    scale, limit = motion
    names = only_one("motion", MGLD_VSR_NAME, consistency)
    guided_by: dict[str, Any] = {"motion_guidance": scale, "motion_guidance_limit": limit}
    Settings.refuse(NEEDS_MOTION, consistency=names, flow=flow, **guided_by)
    if not names:
        return Strategy()
    if released and limit:
        raise SettingsError(f"motion_guidance_limit is {limit:g}; with released there is no limit: leave it out")
    found = motion_guided(
        scale, limit, own_limit=own_limit, plane_px=LATENT_PER_LR_PX, estimator=flow_estimator(flow, folder)
    )
    return replace(found, **RELEASED_GUIDANCE) if released else found


def text_guidance(name: GuidanceName | None, scale: float | None, book: PromptBook) -> Guidance | None:
    """None unless it is asked for. Raises SettingsError where it would have no effect."""
    chosen = name or ("none" if scale is None else "cfg")
    if chosen == "none" and book.negative:
        raise SettingsError("negative_prompt has no effect without guidance; choose guidance cfg, or leave it out")
    return choose_text_guidance(chosen, scale, default_scale=TEXT_GUIDANCE, told=book.tells)


def _schedule(folder: Path, num_steps: int) -> tuple[Step, ...]:
    """DDPM's respacing: evenly spaced from the noisiest timestep to the first one, then to the clean latent.

    Weights that were trained to take few steps begin alike and end further from the first one.
    """
    spacing: Spacing = "trailing" if read_schedule(folder / "scheduler").spacing == "trailing" else "linspace"
    return vp_steps(num_steps, read_betas(folder / "scheduler", force_linear=False), spacing=spacing)
