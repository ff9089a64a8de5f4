"""Small versions of recipes, for tests and trying: a few steps of small clips."""

from __future__ import annotations

from dataclasses import replace

from limpid.train.stage import Recipe


def briefly(recipe: Recipe, *, crop_px: int, frames: int, steps: int = 6) -> Recipe:
    """A recipe whose stages take a few steps of two small clips."""
    stages = tuple(
        replace(
            stage,
            clips=replace(stage.clips, frames=frames, crop_px=crop_px, strides=(1, 1)),
            steps=steps,
            batch=2,
            micro_batch=None,
            optimizer=replace(stage.optimizer, rate=1e-3, warmup_steps=0, course="constant"),
            average=0.9,
        )
        for stage in recipe.stages
    )
    return replace(recipe, summary=f"{recipe.summary} (for tests)", stages=stages, small=None)
