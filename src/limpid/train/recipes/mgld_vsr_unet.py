"""The U-Net of MGLD-VSR, from Stable Diffusion 2.1."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from limpid.methods.common import MGLD_VSR_NAME
from limpid.train.objectives.mgld_vsr import MGLD_VSR_BASE, MGLDVSRDenoising
from limpid.train.recipes.small import briefly
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage
from limpid.train.starts.random import random_converted

LEARN = ("spade", "temporal", "structure")
_CLIPS = ClipSpec(frames=6, crop_px=512, degradation="mgld")
"""64x64 latent pixels."""


def mgld_vsr_unet_recipe() -> Recipe:
    stage = Stage(
        name="structured",
        objective=MGLDVSRDenoising(),
        trainable=LEARN,
        clips=_CLIPS,
        steps=800_000,
        batch=24,
        micro_batch=1,
        optimizer=Optimizer(rate=5e-5, kind="adam"),
        checkpoint_gradients=True,
        source="MGLD section 4.1: Adam, batch 24, 6 frames, 64x64 latents; rate and (most) steps of the released "
        "configuration",
    )
    return Recipe(
        name=f"{MGLD_VSR_NAME}/unet",
        summary="MGLD-VSR's U-Net: structure encoder, SPADE, layers over time; Stable Diffusion's layers stay",
        stages=(stage,),
        needs=(f"converted weights of {MGLD_VSR_BASE}, or of {MGLD_VSR_NAME} to go on from (--start)",),
        small=lambda: replace(
            briefly(mgld_vsr_unet_recipe(), crop_px=32, frames=2), make_start=partial(random_converted, MGLD_VSR_NAME)
        ),
    )
