"""Students that take one to four steps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, cast

from limpid.priors.tiny import TinyConfig
from limpid.train.objectives.dc_vsr import DCVSRDenoising
from limpid.train.objectives.distillation import FewSteps, Teaching
from limpid.train.objectives.tiny import TinyDenoising
from limpid.train.objectives.tiny_system import TinyTeaching
from limpid.train.objectives.upscaler import UpscalerDenoising
from limpid.train.recipes.autoencoders import UPSCALE_A_VIDEO_AUTOENCODER as UAV_VAE
from limpid.train.recipes.dc_vsr_unet import DC_VSR_CLIPS as DC_CLIPS
from limpid.train.recipes.small import briefly
from limpid.train.recipes.upscaler_unet import UPSCALER_CLIPS
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage
from limpid.train.starts.random import random_converted

_STEPS = 4
ADAM = Optimizer(rate=2e-5, betas=(0.9, 0.99), warmup_steps=500)
"""Lower rates than for denoising: the targets come from the student itself."""


def upscale_a_video_few_step() -> Recipe:
    """Guided by 6, as the method is by default."""
    teaching = UpscalerDenoising(
        method="upscale-a-video", autoencoder=UAV_VAE, drop_captions=0.0, noise_levels=(20, 250)
    )
    return _large("upscale-a-video", teaching, guidance_scale=6.0)


def diffvsr_few_step() -> Recipe:
    teaching = UpscalerDenoising(
        method="diffvsr", multi_scale=True, linear_betas=True, drop_captions=0.0, noise_levels=(20, 250)
    )
    return _large("diffvsr", teaching, guidance_scale=5.0)


def dc_vsr_few_step() -> Recipe:
    """Guided by 2 as the method is by default, but without DSSAG, which has no place in a teacher's single call."""
    teaching = DCVSRDenoising(drop_condition=0.0)
    return _large("dc-vsr", teaching, guidance_scale=2.0, clips=DC_CLIPS, small_rate=2e-6)


def _large(
    name: str,
    teaching: Teaching,
    *,
    guidance_scale: float = 1.0,
    clips: ClipSpec = UPSCALER_CLIPS,
    small_rate: float = 2e-5,
) -> Recipe:
    """``small_rate`` is that of the small version."""
    stage = Stage(
        name="few-step",
        objective=FewSteps(
            teaching=teaching, steps=_STEPS, teacher_steps=64, guidance_scale=guidance_scale, teacher=name
        ),
        trainable=("all",),
        clips=clips,
        steps=20_000,
        batch=64,
        micro_batch=1,
        optimizer=ADAM,
        checkpoint_gradients=True,
        source="ours, after Heek, Hoogeboom and Salimans 2024",
    )
    recipe = Recipe(
        name=f"{name}/few-step",
        summary=f"{name} in {_STEPS} steps without guidance, from its trained weights",
        stages=(stage,),
        needs=(f"trained weights of {name}, converted from its makers or by the recipe {name}/unet (--start)",),
    )
    return replace(recipe, small=lambda: _small(recipe, name, small_rate))


def tiny_few_step(steps: int = _STEPS) -> Recipe:
    stage = Stage(
        name="few-step",
        objective=FewSteps(teaching=TinyTeaching(), steps=steps, teacher_steps=33),
        trainable=("all",),
        clips=ClipSpec(frames=5, crop_px=160, degradation="light"),
        steps=2000,
        batch=6,
        optimizer=replace(ADAM, rate=2e-4, warmup_steps=50, course="cosine", final_fraction=0.02),
        average=0.999,
        source="ours, after Heek, Hoogeboom and Salimans 2024",
    )
    summary = f"tiny's texture of many steps in {steps}"
    return Recipe(name="tiny/few-step", summary=summary, stages=(stage,), small=small_tiny)


def small_tiny() -> Recipe:
    """Two steps from nine, on 16 channels."""
    recipe = tiny_few_step(steps=2)
    teaching = TinyTeaching(denoising=TinyDenoising(config=TinyConfig(channels=16, blocks=2, shifts=(1,))))
    objective = FewSteps(teaching=teaching, steps=2, teacher_steps=9)
    return _with(briefly(recipe, crop_px=64, frames=3, steps=8), objective)


def _small(recipe: Recipe, start: str, rate: float) -> Recipe:
    """A few-step recipe on random weights of tiny networks; two steps from six, far apart, at a rate at which the
    targets, which the student makes itself, stand still."""
    objective = replace(cast(FewSteps, recipe.stages[0].objective), steps=2, teacher_steps=6, untrained=True)
    brief = _with(briefly(recipe, crop_px=64, frames=2), objective)
    slow = tuple(replace(stage, optimizer=replace(stage.optimizer, rate=rate)) for stage in brief.stages)
    return replace(brief, stages=slow, make_start=partial(random_converted, start))


def _with(recipe: Recipe, objective: Any) -> Recipe:
    return replace(recipe, stages=tuple(replace(stage, objective=objective) for stage in recipe.stages))
