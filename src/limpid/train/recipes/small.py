"""Small versions of recipes: a few steps on random weights of tiny networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from limpid.train.objectives.upscaler import BASE
from limpid.train.stage import Recipe


def random_start(folder: Path) -> Path:
    """Random weights of a tiny image model, converted, in the empty ``folder``."""
    return random_converted(BASE, folder)


def random_converted(name: str, folder: Path) -> Path:
    """Random weights of tiny networks of ``name``, converted, in the empty ``folder``."""
    from limpid.convert.convert import convert
    from limpid.convert.random_weights import make_random

    return convert(name, make_random(name, "tiny", folder / "official"), folder / "converted")


def briefly(recipe: Recipe, *, crop_px: int, frames: int, steps: int = 6) -> Recipe:
    """The same stages with a few steps of two small clips."""
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
