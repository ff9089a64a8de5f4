"""Random weights of tiny networks, for small recipes: they let a training be tried where no real weights are."""

from __future__ import annotations

from pathlib import Path

from limpid.train.objectives.upscaler import UPSCALER_BASE


def random_start(folder: Path) -> Path:
    """Random weights of a tiny image model, converted, in the empty ``folder``."""
    return random_converted(UPSCALER_BASE, folder)


def random_converted(name: str, folder: Path) -> Path:
    """Random weights of tiny networks of ``name``, converted, in the empty ``folder``."""
    from limpid.convert.convert import convert_weights
    from limpid.convert.random_weights import make_random_weights

    return convert_weights(name, make_random_weights(name, "tiny", folder / "official"), folder / "converted")
