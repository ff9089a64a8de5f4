"""Latents of a trained denoiser for all clips of a decoder's training, made once, and the training that takes them.

Stage 2 of Upscale-A-Video and MGLD-VSR trains the decoder on what the denoiser makes of the LR clips. The clips are
prepared pairs (``limpid train prepare``) of exactly the size that the recipe trains on, so that nothing about them is
drawn anew; ``limpid train latents`` goes through them once and can be stopped at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.bounded import json_object, read_json
from limpid.checkpoints.folders import read_card
from limpid.durable.files import digest_of, write_atomic
from limpid.method import Method, Prior
from limpid.methods import find_method
from limpid.plan.device import Machine, computing
from limpid.settings import Settings
from limpid.train.data.clips import TrainingClips, open_clips
from limpid.train.data.loader import batches
from limpid.train.data.pairs import FACTS, pair_facts
from limpid.train.objectives.latents import LatentSource, clip_key, denoiser, make_latents
from limpid.train.stage import ClipSpec, Recipe, Stage
from limpid.types import InputError, SettingsError

LATENTS_CARD = "latents.json"
_MOST_CARD_BYTES = 1 << 16
OnLatents = Callable[[int, int, int], None]
"""Told after each clip: clips gone through, clips in all, latents made by this run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentsCard:
    """What a folder of latents was made from; ``latents.json`` in it."""

    method: str
    weights: str
    """Hash of the weights, those of a flow network included."""
    steps: int
    seed: int
    clips: str
    """Fingerprint of the prepared pairs."""
    count: int
    finished: bool = False


@dataclass(frozen=True, kw_only=True)
class LatentsWanted:
    """Latents to be made in ``out`` of the pairs in ``data`` by the denoiser in ``weights``, as ``recipe`` trains."""

    recipe: Recipe
    data: Path
    weights: Path
    out: Path
    steps: int | None = None
    """Steps of the denoiser; None: as its method takes."""
    seed: int = 0


def make_all_latents(wanted: LatentsWanted, machine: Machine, tell: Callable[[str], None], on_clip: OnLatents) -> int:
    """Make what is missing and say how many were made; a run that was stopped goes on.

    Raises:
        SettingsError: the recipe learns from no latents, or the folder holds those of other clips, weights or settings.
        InputError: the clips are not prepared pairs of the recipe's size.
    """
    stage = latent_stage(wanted.recipe)
    clips = open_whole_pairs(wanted.data, stage.clips)
    name = read_card(wanted.weights).name
    method = find_method(name, Settings(method=name, weights=str(wanted.weights)))
    steps = wanted.steps or method.steps
    card = LatentsCard(
        method=name,
        weights=method.weights.digest(),
        steps=steps,
        seed=wanted.seed,
        clips=clips.fingerprint,
        count=clips.num_pairs,
    )
    _begin(wanted.out, card)
    tell(f"{clips.describe()} {name}, {steps} steps, no text")
    with computing(machine):
        prior = method.load(machine.placement())
        denoise = _denoiser_of_clips(method, prior, steps, wanted.seed, machine.torch_device)
        numbers = ([number] for number in range(card.count))
        made = make_latents(batches(clips, numbers, workers=0), denoise, wanted.out, _counted(card.count, on_clip))
    _write_card(wanted.out, replace(card, finished=True))
    return made


def _counted(count: int, on_clip: OnLatents) -> Callable[[bool], None]:
    seen = made = 0

    def tell(new: bool) -> None:
        nonlocal seen, made
        seen, made = seen + 1, made + new
        on_clip(seen, count, made)

    return tell


def _denoiser_of_clips(
    method: Method, prior: Prior, steps: int, seed: int, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Each clip has noise of its own, which depends on its pixels and the seed only."""
    schedule = method.make_schedule(steps)

    def denoise(lr: Tensor) -> Tensor:
        own = int(digest_of([seed, clip_key(lr)])[:7], 16)
        return denoiser(method, prior, schedule, seed=own, device=device)(lr).cpu()

    return denoise


# ---------------------------------------------------------------------------------------------- the folder


def read_latents_card(folder: Path) -> LatentsCard:
    """``latents.json`` of a folder. Raises InputError."""
    try:
        found = json_object(read_json(folder / LATENTS_CARD, _MOST_CARD_BYTES), _FACTS)
        return LatentsCard(**{name: found[name] for name in (*_FACTS, "finished")})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{folder} holds no latents ({LATENTS_CARD} is missing or damaged): limpid train latents makes them"
        ) from error


_FACTS = tuple(each.name for each in fields(LatentsCard) if each.name != "finished")
"""What must agree for a run to go on."""


def _begin(out: Path, card: LatentsCard) -> None:
    """Write the card, or check that what is there was begun alike. Raises SettingsError."""
    if (out / LATENTS_CARD).is_file() and any(out.glob("*.safetensors")):
        found = read_latents_card(out)
        for name in _FACTS:
            before, now = getattr(found, name), getattr(card, name)
            if before != now:
                raise SettingsError(
                    f"{out} was begun with {name} {before}, not {now}: choose another folder, or delete it"
                )
        return
    if out.is_dir() and any(path.name != LATENTS_CARD for path in out.iterdir()):
        raise SettingsError(f"{out} holds something else than latents: choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    _write_card(out, card)


def _write_card(out: Path, card: LatentsCard) -> None:
    write_atomic(out / LATENTS_CARD, json.dumps(asdict(card), indent=2) + "\n")


# ---------------------------------------------------------------------------------------------- the training


def latent_stage(recipe: Recipe) -> Stage:
    """The stage of a recipe that learns from latents. Raises SettingsError where there is none."""
    for stage in recipe.stages:
        if isinstance(getattr(stage.objective, "latents", None), LatentSource):
            return stage
    raise SettingsError(f"recipe {recipe.name} learns from no latents; those of decoders do, such as mgld-vsr/vae")


def with_latents(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe on stored latents: clips as they were prepared, never turned.

    Raises SettingsError for a recipe that learns from none, InputError for a folder without all of them.
    """
    latent_stage(recipe)
    card = read_latents_card(folder)
    if not card.finished:
        raise InputError(f"{folder} is not finished: the same limpid train latents command goes on")
    return replace(recipe, stages=tuple(_on_latents(stage, folder) for stage in recipe.stages))


def _on_latents(stage: Stage, folder: Path) -> Stage:
    objective: Any = stage.objective
    source = getattr(objective, "latents", None)
    if not isinstance(source, LatentSource):
        return stage
    stored = replace(objective, latents=replace(source, folder=folder))
    return replace(stage, objective=stored, clips=replace(stage.clips, flips=False))


def check_stored(stage: Stage, data: Path) -> None:
    """Raises InputError where a stage learns from stored latents, and ``data`` are not clips that have some."""
    source = getattr(stage.objective, "latents", None)
    if not isinstance(source, LatentSource) or source.folder is None:
        return
    clips = open_whole_pairs(data, stage.clips)
    card = read_latents_card(source.folder)
    if card.clips != clips.fingerprint:
        raise InputError(f"{source.folder} holds latents of other clips than those in {data}; make them for these")


def open_whole_pairs(data: Path, spec: ClipSpec) -> TrainingClips:
    """Prepared pairs that a stage takes whole: nothing about them is drawn. Raises InputError for others."""
    how = f"limpid train prepare DATA {data} --frames {spec.frames} --crop {spec.crop_px}"
    how += f" --degradation {spec.degradation}"
    facts = pair_facts(data)
    for name, wanted in (("frames", spec.frames), ("crop", spec.crop_px)):
        if facts.get(name) != wanted:
            said = f"{name} {facts[name]}" if name in facts else f"no {FACTS}"
            raise InputError(
                f"{data} has {said}; stored latents need prepared pairs with {name} {wanted}, so that nothing is cut "
                f"from them: {how}"
            )
    return open_clips(data, replace(spec, flips=False), seed=0)
