"""Stream-DiffVSR's three stages: rollout distillation of the denoiser, the decoder over time, the branch.

That there are these three, in this order, is the paper's (arXiv 2512.23709); numbers of steps, batches, rates and clips
are ours, until somebody who has the paper's puts them here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from limpid.methods.common import STREAM_DIFFVSR_NAME
from limpid.train.objectives.stream_diffvsr import StreamPart, StreamTraining
from limpid.train.recipes.small import briefly
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage
from limpid.train.starts.random import random_converted

_RATE = Optimizer(rate=5e-5, warmup_steps=500)
_CLIPS = ClipSpec(frames=2, crop_px=512)
_SOURCE = "stages of arXiv 2512.23709; numbers are ours"


def stream_diffvsr_recipe() -> Recipe:
    """All three stages, each from what the one before has saved."""
    denoiser = Stage(
        name="denoiser",
        objective=StreamTraining(part="unet"),
        trainable=("all",),
        clips=replace(_CLIPS, frames=1),
        steps=60_000,
        batch=16,
        micro_batch=1,
        optimizer=_RATE,
        checkpoint_gradients=True,
        source=_SOURCE,
    )
    decoder = replace(
        denoiser,
        name="decoder",
        objective=StreamTraining(part="vae"),
        trainable=("temporal",),
        clips=_CLIPS,
        steps=60_000,
        checkpoint_gradients=False,
    )
    branch = replace(denoiser, name="branch", objective=StreamTraining(part="controlnet"), clips=_CLIPS)
    recipe = Recipe(
        name=f"{STREAM_DIFFVSR_NAME}/all",
        summary="Stream-DiffVSR: denoiser of four steps, decoder over time, branch for the frame before",
        stages=(denoiser, decoder, branch),
        needs=(f"converted weights of {STREAM_DIFFVSR_NAME} to go on from (--start)",),
    )
    return replace(recipe, small=lambda: _small(recipe))


def _small(recipe: Recipe) -> Recipe:
    """Two steps on random weights of tiny networks."""
    brief = briefly(recipe, crop_px=64, frames=2)
    parts: tuple[StreamPart, ...] = ("unet", "vae", "controlnet")
    stages = tuple(
        replace(stage, objective=StreamTraining(part=part, steps=2))
        for stage, part in zip(brief.stages, parts, strict=True)
    )
    return replace(brief, stages=stages, make_start=partial(random_converted, STREAM_DIFFVSR_NAME))
