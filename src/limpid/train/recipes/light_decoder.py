"""Light decoders for Upscale-A-Video and DiffVSR, distilled from their full ones; all numbers are ours."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from limpid.train.objectives.light_decoder import LightDecoder
from limpid.train.recipes.small import briefly
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage
from limpid.train.starts.random import random_converted


def upscale_a_video_light_decoder() -> Recipe:
    return light("upscale-a-video", teacher="video_vae")


def diffvsr_light_decoder() -> Recipe:
    return light("diffvsr", teacher="vae")


def light(method: str, teacher: str) -> Recipe:
    """One stage. The teacher's call takes most of the time, so clips are not larger than needed."""
    stage = Stage(
        name="decoder",
        objective=LightDecoder(method=method, teacher=teacher),
        trainable=("decoder",),
        clips=ClipSpec(frames=8, crop_px=256),
        steps=40_000,
        batch=16,
        micro_batch=4,
        optimizer=Optimizer(
            rate=5e-4, betas=(0.9, 0.99), warmup_steps=500, course="cosine", final_fraction=0.01, weight_decay=1e-4
        ),
        average=0.999,
        source="ours",
    )
    return Recipe(
        name=f"{method}/light-decoder",
        summary=f"a small decoder for {method} that sees the LR frames, distilled from the full one",
        stages=(stage,),
        needs=(
            f"converted weights of {method} with the trained decoder (--start)",
            "latents of the denoiser (limpid train latents, then --latents); without, they are imitated",
            "the files of the metric lpips (--assets); without, another loss takes the place of LPIPS",
        ),
        small=lambda: small_light_decoder(light(method, teacher)),
    )


def small_light_decoder(recipe: Recipe) -> Recipe:
    """A narrow student, taught by a tiny teacher of random numbers."""
    brief = briefly(recipe, crop_px=32, frames=3)
    (stage,) = brief.stages
    assert isinstance(stage.objective, LightDecoder)
    objective = replace(stage.objective, decoder={"width": 16, "blocks": 2, "shifts": (1,)})
    few = replace(stage, objective=objective, optimizer=replace(stage.optimizer, rate=3e-3))
    return replace(brief, stages=(few,), make_start=partial(random_converted, objective.method))
