"""What small recipes start from: random weights of tiny networks."""

from __future__ import annotations

from pathlib import Path

from limpid.train.objectives.upscaler import BASE


def random_start(folder: Path) -> Path:
    """Random weights of a tiny image model, converted, in the empty ``folder``."""
    from limpid.models.convert import convert
    from limpid.models.random_weights import make_random

    return convert(BASE, make_random(BASE, "tiny", folder / "official"), folder / "converted")
