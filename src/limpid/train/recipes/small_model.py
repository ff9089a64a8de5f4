"""The recipes of `small`: its faithful end, and its vivid one, which begins with that."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from limpid.methods.small import SMALL_FILE
from limpid.priors.cleaned import CODEC_BLOCK_PX
from limpid.priors.small import SmallConfig, SmallNetwork, save_small
from limpid.train.objectives.sharpened import SharpenedTarget, SmallSharpening
from limpid.train.objectives.small import SmallRestoring
from limpid.train.objectives.vivid_target import VividTarget
from limpid.train.recipes.tiny import own_optimizer
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage
from limpid.train.starts.new import seeded

_START = (
    "weights to start from (--start; realesr-animevideov3-x4.param of Real-ESRGAN, or those that ship, "
    "src/limpid/weights/small.safetensors)"
)
_FAITHFUL = SmallRestoring(gradient_weight=0.15, grid_weight=0.7)
"""Faint stripes hardly count squared, so a little of their size must count where a grid is to be hidden."""
_TAUGHT = VividTarget(boost=1.5, least_gain=0.6, most_gain=3.5, light_truth_sigma_px=3.0)
_WORN = VividTarget(teacher_share=1.0, boost=1.0, least_gain=1.0, most_gain=1.0)
"""In the last stage: the teacher's picture with the truth's colours."""
_WORN_GAIN, _GRID_WEIGHT = 1.4, 1.5
_SMALL_NETWORK = SmallConfig(channels=16, layers=3, neighbours=(-1, 1))
"""Shape of the small versions."""


def small_faithful() -> Recipe:
    """The least error; from the weights of a sharp network, which know outlines that new ones need days for."""
    stage = Stage(
        name="faithful",
        objective=_FAITHFUL,
        trainable=("all",),
        clips=ClipSpec(frames=6, crop_px=192, degradation="mixed", lr_align_px=CODEC_BLOCK_PX),
        steps=6000,
        batch=3,
        optimizer=own_optimizer(4e-4),
        average=0.999,
        source="ours",
    )
    return Recipe(
        name="small",
        summary="the network of plain convolutions that ships with Limpid, its faithful end",
        stages=(stage,),
        small=small_small_faithful,
        needs=(_START,),
    )


def small_vivid() -> Recipe:
    """First taught by a sharp network, then what lies between both ends, sharpened."""
    (faithful,) = small_faithful().stages
    taught = replace(faithful, name="taught", objective=_vivid(SmallConfig()), clips=_taught(faithful.clips))
    sharpened = replace(
        faithful,
        name="sharpened",
        objective=_sharpening(),
        clips=_taught(replace(faithful.clips, frames=4)),
        steps=2500,
        optimizer=own_optimizer(3e-4),
    )
    return Recipe(
        name="small/vivid",
        summary="the vivid end of small: taught by a sharp network that sees the same damage, then sharpened",
        stages=(taught, sharpened),
        small=small_small_vivid,
        needs=(
            "the faithful end to start from (--start; a training of the recipe small)",
            "pairs of limpid train prepare --degradation mixed --teacher MODEL (docs/training-data.md)",
        ),
    )


def small_small_faithful() -> Recipe:
    """16 channels, five layers, 12 steps."""
    stage = Stage(
        name="faithful",
        objective=replace(_FAITHFUL, config=_SMALL_NETWORK),
        trainable=("all",),
        clips=ClipSpec(frames=3, crop_px=64, degradation="mixed", lr_align_px=CODEC_BLOCK_PX),
        steps=12,
        batch=2,
        optimizer=Optimizer(rate=1e-3),
        average=0.9,
    )
    return Recipe(name="small", summary="a still smaller one, for tests", stages=(stage,))


def small_small_vivid() -> Recipe:
    """16 channels, five layers, 12 steps a stage."""
    (faithful,) = small_small_faithful().stages
    taught = replace(faithful, name="taught", objective=_vivid(_SMALL_NETWORK), clips=_taught(faithful.clips))
    sharpened = replace(taught, name="sharpened", objective=_sharpening())
    return Recipe(
        name="small/vivid",
        summary="a still smaller one, for tests",
        stages=(taught, sharpened),
        make_start=_random_end,
    )


def _random_end(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_small(seeded(partial(SmallNetwork, _SMALL_NETWORK), 0), folder / SMALL_FILE)
    return folder


def _vivid(config: SmallConfig) -> SmallRestoring:
    return SmallRestoring(config=config, target=_TAUGHT, smooth=0.1, gradient_weight=1.0, difference_weight=0.5)


def _sharpening() -> SmallSharpening:
    restoring = SmallRestoring(smooth=0.1, gradient_weight=0.5, difference_weight=0.3, grid_weight=_GRID_WEIGHT)
    return SmallSharpening(target=SharpenedTarget(worn=_WORN, worn_gain=_WORN_GAIN), restoring=restoring)


def _taught(clips: ClipSpec) -> ClipSpec:
    return replace(clips, teacher=True)
