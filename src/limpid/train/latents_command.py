"""``limpid train latents``: makes the latents that the decoder of a recipe learns from."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from limpid.types import SettingsError

_PROGRESS_EVERY_S = 5.0


def add_latents_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--recipe", metavar="NAME", required=True, help="the decoder's recipe, such as upscale-a-video/vae")
    add("--data", metavar="DIR", required=True, help="prepared pairs of the recipe's size (limpid train prepare)")
    add("--weights", metavar="DIR", required=True, help="converted or trained weights of the denoiser")
    add("--out", metavar="DIR", required=True, help="folder of the latents; the same command goes on with it")
    add("--small", action="store_true", help="for the recipe's small version")
    add("--steps", metavar="N", type=int, help="of the denoiser (default: as its method takes)")
    add("--seed", metavar="N", type=int, default=0, help="of the noise (default: 0)")
    add("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, mps")
    add("--dtype", metavar="NAME", default="auto", help="auto, float32, bfloat16, float16")
    add("--threads", metavar="N", type=int, help="of the processor")


def run_latents(options: argparse.Namespace) -> int:
    """Do what `add_latents_options` describes; 0 when all are there. Raises LimpidError."""
    if (options.steps or 1) < 1 or options.seed < 0:
        raise SettingsError("--steps must be 1 or more, --seed 0 or more")
    from limpid.plan.device import choose_machine
    from limpid.train.latents_run import LatentsWanted, make_all_latents
    from limpid.train.recipes import find_recipe, small_recipe

    recipe = find_recipe(options.recipe)
    wanted = LatentsWanted(
        recipe=small_recipe(recipe) if options.small else recipe,
        data=Path(options.data),
        weights=Path(options.weights),
        out=Path(options.out),
        steps=options.steps,
        seed=options.seed,
    )
    machine = choose_machine(options.device, options.dtype, options.threads)
    made = make_all_latents(wanted, machine, _tell, _Progress())
    _tell(f"{options.out}: {made} latents were made now, the others were there")
    return 0


class _Progress:
    """A line every few seconds, and one at the end."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()

    def __call__(self, seen: int, count: int, made: int) -> None:
        now = time.monotonic()
        if seen < count and now - self.last < _PROGRESS_EVERY_S:
            return
        self.last, spent = now, max(now - self.began, 1e-9)
        left = spent / max(1, made) * (count - seen)
        _tell(f"{seen} of {count} clips, {made / spent:.2f} latents/s, {left / 60:.1f} min left")


def _tell(says: str) -> None:
    sys.stderr.write(says + "\n")
