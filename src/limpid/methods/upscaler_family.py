"""What the methods share that stand on the SD x4 upscaler: Upscale-A-Video, DiffVSR, LaVie's upscaler, and itself.

They differ in a few values, a `FamilyMember` each, which stand in the files named after them; `compose` makes methods
of these. Its keyword parameters are the options of the method, by the names of `limpid.settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from limpid.checkpoints.folders import installed, read_card
from limpid.choices import AutoencoderName, Flow, GuidanceName
from limpid.consistency.combine import Combined
from limpid.consistency.propagation import AUTHORS_STEPS, LatentPropagation
from limpid.consistency.transition import LatentTransition, NoiseRescheduling
from limpid.cuts.blended import Blended
from limpid.cuts.cost import Cost
from limpid.diffusion.samplers import DDIM
from limpid.diffusion.schedules import vp_steps
from limpid.flow.estimate import DISFlow, LastFlows
from limpid.flow.installed import flow_estimator
from limpid.guidance.choice import choose_text_guidance
from limpid.method import Guidance, Method, Strategy
from limpid.methods.common import SUMMARIES, guided, motion_guided, weights_in
from limpid.priors.load.kept import LoadWithTexts
from limpid.priors.load.schedule_config import read_betas, read_schedule
from limpid.priors.load.upscaler import UpscalerFiles, load_upscaler, with_other_texts
from limpid.priors.prompts import PromptBook, parse_prompts
from limpid.settings import Settings
from limpid.spellings import parse_consistency, parse_steps
from limpid.types import SettingsError, Step, WeightsError

_WINDOW_FRAMES = 8
RELEASED_FLOW_THRESHOLD = (0.001, 0.05)
LIGHT = "light_vae"
"""Folder of a light decoder, which nobody has released: the recipes ``light-decoder`` train it."""


@dataclass(frozen=True, kw_only=True)
class FamilyMember:
    """What one member of the family is: its defaults, and what its released weights ask for."""

    name: str
    steps: int
    noise_level: int
    guidance_scale: float
    negative: str = ""
    suffix: str = ""
    consistency: frozenset[str] = frozenset()
    """What holds windows together when the user does not say."""
    autoencoder: AutoencoderName = "image"
    autoencoder_folders: Mapping[str, str] = field(default_factory=lambda: {"image": "vae"})
    window_overlap_frames: int = 2
    decode_frames: int = 8
    decode_overlap_frames: int = 2
    released_decode_frames: int | None = None
    """Frames that the released code decodes at once; None: there is none to compare with."""
    temporal: bool = True
    pools_norms: bool = True
    """Whether the video autoencoder can pool its norms over the frames of a chunk."""
    linear_betas: bool = False
    """Trained with linear betas, whatever the scheduler's config says."""


def compose(
    member: FamilyMember,
    *,
    weights: str | None = None,
    prompt: str = "",
    negative_prompt: str | None = None,
    prompts: str | None = None,
    noise_level: int | None = None,
    guidance: GuidanceName | None = None,
    guidance_scale: float | None = None,
    consistency: str | None = None,
    propagation_steps: str | None = None,
    motion_guidance: float | None = None,
    motion_guidance_limit: float | None = None,
    joint_frames: int | None = None,
    flow: Flow = "auto",
    autoencoder: AutoencoderName | None = None,
    decoder_weight: float | None = None,
    released: bool = False,
) -> Method:
    """A member of the family with its options. ``decoder_weight`` is UAV's w_lr, the weight of its SFT.

    Raises SettingsError for an option that the member does not have, WeightsError when its weights are not there.
    """
    check_member_options(member, autoencoder=autoencoder, released=released)
    folder = installed(member.name, weights)
    names = _consistency_names(member, consistency)
    how = _cuts(member, names, joint_frames, released=released)
    motion = (motion_guidance, motion_guidance_limit)
    strategy = family_strategy(
        names, folder, how.window_overlap_frames, steps=propagation_steps, motion=motion, flow=flow, released=released
    )
    files = files_of(member, folder, autoencoder, released=released, decoder_weight=decoder_weight)
    book = prompt_book(member, prompt, negative_prompt, prompts)
    level = member.noise_level if noise_level is None else noise_level
    guide = _guidance(guidance, guidance_scale, book, own_scale=guidance_scale_of(member, folder))
    found = member_of(member, files, book, level, autoencoder or member.autoencoder)
    rest = guided(guide, windows=member.temporal)
    return replace(found, cuts=how, strategy=strategy, color="none" if released else "wavelet", **rest)


def _guidance(name: GuidanceName | None, scale: float | None, book: PromptBook, *, own_scale: float) -> Guidance | None:
    return choose_text_guidance(name, scale, default_scale=own_scale, told=book.tells)


def _consistency_names(member: FamilyMember, consistency: str | None) -> frozenset[str]:
    names = member.consistency if consistency is None else parse_consistency(consistency)
    if "filter" in names:
        raise SettingsError(f"consistency filter does not fit the method {member.name}; it is for image networks")
    if "transition" in names and not member.temporal:
        raise SettingsError(f"consistency transition does not fit the method {member.name}, which has no windows")
    return names


def _check_joint(member: FamilyMember, names: frozenset[str], joint_frames: int | None) -> None:
    """Frames by themselves are the same in every segment, so that there is nothing to merge."""
    if joint_frames is not None and not member.temporal and not names & {"propagation", "motion"}:
        raise SettingsError(
            f"joint_frames has no effect with the method {member.name}, which works frame by frame; leave it out, "
            "or add propagation or motion to consistency"
        )


def member_of(member: FamilyMember, files: UpscalerFiles, book: PromptBook, level: int, autoencoder: str) -> Method:
    """A member of the family without options that change the loop: networks, texts and noise level."""
    folder = files.folder
    return Method(
        name=member.name,
        summary=SUMMARIES[member.name],
        load=LoadWithTexts(
            partial(load_upscaler, files, book=book, noise_level=level),
            partial(with_other_texts, folder=folder, book=book),
        ),
        scale=4,
        steps=int(read_card(folder).defaults.get("steps", member.steps)),
        make_schedule=lambda num_steps: _schedule(member, folder, num_steps),
        sampler=DDIM(),
        cuts=Blended(),
        cost=Cost(work_bytes_per_px=_WORK_BYTES_PER_PX, decode_bytes_per_px=_DECODE_BYTES_PER_PX[autoencoder]),
        weights=weights_in(folder, files.parameter_bytes()),
    )


def guidance_scale_of(member: FamilyMember, folder: Path) -> float:
    """The scale that the weights were trained for, or the member's own."""
    return float(read_card(folder).defaults.get("guidance_scale", member.guidance_scale))


def prompt_book(member: FamilyMember, prompt: str, negative: str | None, prompts: str | None) -> PromptBook:
    """What the network is told in words, with what the authors add to every text."""
    return PromptBook(
        prompt=prompt,
        negative=member.negative if negative is None else negative,
        suffix=member.suffix,
        per_shot={} if prompts is None else parse_prompts(prompts),
    )


def check_member_options(member: FamilyMember, *, autoencoder: str | None, released: bool) -> None:
    """Refuses what would have no effect."""
    if autoencoder is not None and len(member.autoencoder_folders) == 1:
        raise SettingsError(f"autoencoder has no effect with the method {member.name}, which has one; leave it out")
    if autoencoder is not None and autoencoder not in member.autoencoder_folders:
        names = " or ".join(member.autoencoder_folders)
        raise SettingsError(f"the method {member.name} has no autoencoder {autoencoder}; it can be {names}")
    if released and member.released_decode_frames is None:
        raise SettingsError(f"released has no effect with the method {member.name}; leave it out")
    Settings.refuse(autoencoder=autoencoder, released=released)


_WORK_BYTES_PER_PX = 35_000
"""Peak memory of one U-Net call per LR pixel and frame in float32: measured 25 400 with 8 frames of 64x64,
35 000 with 2."""
_DECODE_BYTES_PER_PX = {"image": 50_000, "video": 130_000, "light": 50_000}
"""Peak memory of one decoder call per LR pixel and frame, by decoder; measured with 2 frames of 48x48. The light
decoder takes much less, but with a strength below 1 the encoder, which is the full one, is called with these cuts."""


def _cuts(member: FamilyMember, consistency: frozenset[str], joint_frames: int | None, *, released: bool) -> Blended:
    """Windows, tiles, decoder chunks, and how segments meet.

    Windows that are blended once lie 4 frames apart, others 8 less their overlap; segments start on that grid, and so
    do the decoder's chunks. Blended once, a joint between segments is one more border of windows, of the same overlap.
    """
    _check_joint(member, consistency, joint_frames)
    overlap = 4 if "transition" in consistency else member.window_overlap_frames
    joint = overlap if "transition" in consistency else 4
    if joint_frames is not None:
        if "transition" in consistency and joint_frames not in (0, overlap):
            raise SettingsError(
                f"joint_frames is {joint_frames}; with transition it is 0 or the windows' overlap, {overlap}"
            )
        joint = joint_frames
    return Blended(
        window_frames=_WINDOW_FRAMES,
        window_overlap_frames=overlap,
        window_weights="box",
        segment_grid_frames=_WINDOW_FRAMES - overlap,
        joint_frames=joint,
        tile_overlap_px=64,
        tile_weights="gaussian",
        decode_frames=member.released_decode_frames if released else member.decode_frames,
        decode_overlap_frames=member.decode_overlap_frames,
        decode_tile_overlap_px=16,
        released_compat=released,
    )


def family_strategy(
    names: frozenset[str],
    folder: Path,
    overlap_frames: int,
    *,
    steps: str | None = None,
    motion: tuple[float | None, float | None] = (None, None),
    flow: Flow = "auto",
    released: bool = False,
) -> Strategy:
    """Propagation, rescheduled noise, latent transition and motion guidance, those that are named, as one strategy.

    ``motion``: motion_guidance and motion_guidance_limit, None where they are the method's own.
    Noise comes back in groups as long as the overlap of windows, so that each window holds the same noise frames.
    """
    scale, limit = motion
    by_motion: dict[str, Any] = {"motion_guidance": scale, "motion_guidance_limit": limit}
    Settings.refuse(consistency=names, propagation_steps=steps, flow=flow, **by_motion)
    parts: list[Strategy] = []
    estimator = LastFlows(flow_estimator(flow, folder)) if names & {"propagation", "motion"} else DISFlow()
    if "propagation" in names:
        adaptive = RELEASED_FLOW_THRESHOLD if released else None
        at = AUTHORS_STEPS if steps is None else parse_steps(steps)
        parts.append(LatentPropagation(steps=at, adaptive_compat=adaptive, estimator=estimator))
    if "noise" in names:
        parts.append(NoiseRescheduling(window_frames=_WINDOW_FRAMES, overlap_frames=overlap_frames))
    if "transition" in names:
        parts.append(LatentTransition(fusion_compat=released, padding_compat=released))
    if "motion" in names:
        parts.append(motion_guided(scale, limit, estimator=estimator))
    return parts[0] if len(parts) == 1 else Combined(strategies=tuple(parts)) if parts else Strategy()


def files_of(
    member: FamilyMember,
    folder: Path,
    autoencoder: AutoencoderName | None,
    *,
    released: bool,
    decoder_weight: float | None = None,
) -> UpscalerFiles:
    """The autoencoder that is asked for. That of the image model works frame by frame, as it was trained; the released
    code pools its norms over the frames of a chunk. Raises WeightsError where there is no light one, SettingsError for
    the weight of an input that the decoder does not look at."""
    kind = member.autoencoder if autoencoder is None else autoencoder
    if kind == "light" and not (folder / LIGHT / "config.json").is_file():
        raise WeightsError(
            f"{folder} has no light decoder ({LIGHT}): limpid train --recipe {member.name}/light-decoder makes one "
            "from these weights, or leave autoencoder out"
        )
    scope = "window" if released or kind == "video" else "frame"
    options = {} if kind == "light" or not member.pools_norms else {"norm_scope": scope}
    files = UpscalerFiles(folder=folder, autoencoder=member.autoencoder_folders[kind], autoencoder_options=options)
    if decoder_weight is None:
        return files
    if kind == "light" or not files.decoder_sees_input():
        raise SettingsError(
            f"decoder_weight has no effect with the method {member.name} and its {kind} decoder, which does not follow "
            "the input by a weight; leave it out"
        )
    return replace(files, lr_weight=decoder_weight)


def _schedule(member: FamilyMember, folder: Path, num_steps: int) -> tuple[Step, ...]:
    """DDIM's timesteps as the weights were trained: the scheduler's config, but for the betas of some."""
    config = read_schedule(folder / "scheduler")
    betas = read_betas(folder / "scheduler", force_linear=member.linear_betas)
    offset = config.steps_offset if config.spacing == "leading" else 0
    return vp_steps(num_steps, betas, spacing=config.spacing, offset=offset, final_alpha=config.final_alpha)
