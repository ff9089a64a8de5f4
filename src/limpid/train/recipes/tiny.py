"""The recipes of the shipped model: its faithful end, from there its vivid one, a cleaner, and both ends with it."""

from __future__ import annotations

from dataclasses import replace

from limpid.priors.cleaned import CODEC_BLOCK_PX, CleanerConfig
from limpid.priors.tiny import TinyConfig
from limpid.train.objectives.tiny import TinyDenoising
from limpid.train.objectives.tiny_clean import TinyCleaning
from limpid.train.objectives.tiny_together import TinyTogether
from limpid.train.objectives.tiny_vivid import TinyVivid
from limpid.train.objectives.vivid_target import VividTarget
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage

_SMALL_NETWORK = TinyConfig(channels=16, blocks=2, shifts=(1,))
_SMALL_CLEANER = CleanerConfig(channels=8, blocks=1, grid_px=CODEC_BLOCK_PX)
"""Shapes of the small versions."""


def tiny_denoiser() -> Recipe:
    """Light damage: what `tiny` is for. Heavier ranges make it blur what it could have kept."""
    stage = Stage(
        name="tiny",
        objective=TinyDenoising(),
        trainable=("all",),
        clips=ClipSpec(frames=5, crop_px=160, degradation="light"),
        steps=6000,
        batch=6,
        optimizer=own_optimizer(1e-3),
        average=0.999,
        source="ours",
    )
    summary = "the small model that ships with Limpid, on photos and clips with light damage"
    return Recipe(name="tiny", summary=summary, stages=(stage,), small=small_tiny_denoiser)


def small_tiny_denoiser() -> Recipe:
    """16 channels, two blocks, 12 steps."""
    stage = Stage(
        name="tiny",
        objective=TinyDenoising(config=_SMALL_NETWORK),
        trainable=("all",),
        clips=ClipSpec(frames=3, crop_px=64, degradation="light"),
        steps=12,
        batch=2,
        optimizer=Optimizer(rate=3e-3),
        average=0.9,
    )
    return Recipe(name="tiny", summary="a still smaller one, for tests", stages=(stage,))


def tiny_vivid() -> Recipe:
    """From the faithful weights, so that the line between both stays good; damage as people have it."""
    stage = Stage(
        name="vivid",
        objective=TinyVivid(),
        trainable=("all",),
        clips=ClipSpec(frames=6, crop_px=192, degradation="mixed", teacher=True),
        steps=12_000,
        batch=3,
        optimizer=own_optimizer(3.5e-4),
        average=0.999,
        source="ours",
    )
    return Recipe(
        name="tiny/vivid",
        summary="the vivid end of tiny: taught by a sharp network that sees the same damage",
        stages=(stage,),
        small=small_tiny_vivid,
        needs=(
            "weights of the recipe tiny (--start; those that ship are src/limpid/weights/tiny.safetensors)",
            "pairs of limpid train prepare --degradation mixed --teacher MODEL (docs/training-data.md)",
        ),
    )


def small_tiny_vivid() -> Recipe:
    """16 channels, two blocks, 12 steps."""
    denoising = TinyDenoising(config=_SMALL_NETWORK, near_pure_noise=0.85, smooth=0.1)
    stage = Stage(
        name="vivid",
        objective=TinyVivid(denoising=denoising),
        trainable=("all",),
        clips=ClipSpec(frames=3, crop_px=64, degradation="mixed", teacher=True),
        steps=12,
        batch=2,
        optimizer=Optimizer(rate=1e-3),
        average=0.9,
    )
    return Recipe(name="tiny/vivid", summary="a still smaller one, for tests", stages=(stage,))


def tiny_clean() -> Recipe:
    """Strong compression and noise; the knob is at 0 for what is not damaged so."""
    stage = Stage(
        name="clean",
        objective=TinyCleaning(),
        trainable=("all",),
        clips=ClipSpec(frames=6, crop_px=192, degradation="worn", lr_align_px=CODEC_BLOCK_PX, teacher=True),
        steps=6000,
        batch=4,
        optimizer=own_optimizer(1e-3),
        average=0.999,
        source="ours",
    )
    return Recipe(
        name="tiny/clean",
        summary="the cleaner of tiny (--denoise): LR frames without blocks, jags and noise",
        stages=(stage,),
        small=small_tiny_clean,
        needs=("pairs of limpid train prepare --degradation worn --teacher MODEL (docs/training-data.md)",),
    )


def small_tiny_clean() -> Recipe:
    """8 channels, one block, 12 steps."""
    stage = Stage(
        name="clean",
        objective=TinyCleaning(config=_SMALL_CLEANER),
        trainable=("all",),
        clips=ClipSpec(frames=3, crop_px=64, degradation="worn", lr_align_px=CODEC_BLOCK_PX, teacher=True),
        steps=12,
        batch=2,
        optimizer=Optimizer(rate=1e-3),
        average=0.9,
    )
    return Recipe(name="tiny/clean", summary="a still smaller one, for tests", stages=(stage,))


def tiny_together() -> Recipe:
    """Each end with a cleaner of its own; the second goes on from the first, so that the line between stays good."""
    faithful = Stage(
        name="faithful",
        objective=TinyTogether(end=TinyDenoising(near_pure_noise=0.9, smooth=1.0), frame_weight=0.1, smooth=1.0),
        trainable=("all",),
        clips=ClipSpec(frames=7, crop_px=192, degradation="mixed", lr_align_px=CODEC_BLOCK_PX),
        steps=12_000,
        batch=3,
        optimizer=own_optimizer(4e-4),
        average=0.999,
        source="ours",
    )
    vivid = replace(
        faithful,
        name="vivid",
        objective=TinyTogether(
            end=TinyVivid(denoising=TinyDenoising(near_pure_noise=0.95, smooth=0.1), target=VividTarget(least_gain=0.6))
        ),
        clips=ClipSpec(frames=6, crop_px=192, degradation="mixed", lr_align_px=CODEC_BLOCK_PX, teacher=True),
    )
    return Recipe(
        name="tiny/together",
        summary="both ends of tiny, each trained as one network with the cleaner before it",
        stages=(faithful, vivid),
        small=small_tiny_together,
        needs=(
            "weights to go on from (--start; those that ship are src/limpid/weights/tiny.safetensors)",
            "pairs of limpid train prepare --degradation mixed --teacher MODEL (docs/training-data.md)",
        ),
    )


def small_tiny_together() -> Recipe:
    """16 channels and two blocks behind 8 channels and one, 12 steps for each end."""
    end = TinyDenoising(config=_SMALL_NETWORK, near_pure_noise=0.9, smooth=1.0)
    faithful = Stage(
        name="faithful",
        objective=TinyTogether(end=end, cleaner=_SMALL_CLEANER, frame_weight=0.1, smooth=1.0),
        trainable=("all",),
        clips=ClipSpec(frames=3, crop_px=64, degradation="mixed", lr_align_px=CODEC_BLOCK_PX),
        steps=12,
        batch=2,
        optimizer=Optimizer(rate=1e-3),
        average=0.9,
    )
    vivid = replace(
        faithful,
        name="vivid",
        objective=TinyTogether(end=TinyVivid(denoising=replace(end, smooth=0.1)), cleaner=_SMALL_CLEANER),
        clips=ClipSpec(frames=3, crop_px=64, degradation="mixed", lr_align_px=CODEC_BLOCK_PX, teacher=True),
    )
    return Recipe(name="tiny/together", summary="a still smaller one, for tests", stages=(faithful, vivid))


def own_optimizer(rate: float) -> Optimizer:
    """That of all full recipes of our own networks."""
    return Optimizer(
        rate=rate, betas=(0.9, 0.99), weight_decay=1e-4, warmup_steps=100, course="cosine", final_fraction=0.01
    )
