"""The U-Net of MGLD-VSR, from Stable Diffusion 2.1."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from limpid.methods.common import MGLD_VSR
from limpid.train.objectives.mgld_vsr import BASE, StructuredDenoising
from limpid.train.recipes.small import briefly, random_converted
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage

LEARN = ("spade", "temporal", "structure")
CLIPS = ClipSpec(frames=6, crop_px=512, degradation="mgld")
"""64x64 latent pixels."""


def mgld() -> Recipe:
    stage = Stage(
        name="structured",
        objective=StructuredDenoising(),
        trainable=LEARN,
        clips=CLIPS,
        steps=800_000,
        batch=24,
        micro_batch=1,
        optimizer=Optimizer(rate=5e-5, kind="adam"),
        checkpoint_gradients=True,
        source="MGLD-VSR, section 4.1: Adam, batch 24, 6 frames, 64x64 latents; rate and (most) steps of the released "
        "configuration",
    )
    return Recipe(
        name=f"{MGLD_VSR}/unet",
        summary="MGLD-VSR's U-Net: structure encoder, SPADE, layers over time; Stable Diffusion's layers stay",
        stages=(stage,),
        needs=(f"converted weights of {BASE}, or of {MGLD_VSR} to go on from (--start)",),
        small=lambda: replace(briefly(mgld(), crop_px=32, frames=2), make_start=partial(random_converted, MGLD_VSR)),
    )
