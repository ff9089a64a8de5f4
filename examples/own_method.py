"""A method composed of parts that are there: the shipped denoiser, more steps, a sampler with noise, steady texture.

    python examples/own_method.py FILM OUTPUT

No class is derived and nothing is registered by importing: a method is a value, and `limpid.methods.METHODS` a dict.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import limpid
from limpid.consistency.transition import NoiseRescheduling
from limpid.diffusion.samplers import DDIM
from limpid.method import Method
from limpid.methods import METHODS, find_method


def steady(seed_steps: int = 4) -> Method:
    """`tiny` that draws its texture in a few steps from noise that comes back every 8 frames."""
    return replace(
        find_method("tiny"),
        name="steady",
        summary="tiny, drawn in four steps from noise that comes back",
        steps=seed_steps,
        sampler=DDIM(),
        strategy=NoiseRescheduling(window_frames=8, overlap_frames=4),
    )


if __name__ == "__main__":
    METHODS["steady"] = steady
    report = limpid.upscale(sys.argv[1], sys.argv[2], method="steady", overwrite=True)
    print(f"{report.frames} frames in {report.seconds:.1f} s: {report.output}")
