"""The denoiser of DC-VSR, from Stable Video Diffusion."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from limpid.methods.common import DC_VSR_NAME
from limpid.train.objectives.dc_vsr import DC_VSR_BASE, DCVSRDenoising
from limpid.train.recipes.small import briefly
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage
from limpid.train.starts.random import random_converted

DC_VSR_CLIPS = ClipSpec(frames=14, crop_px=512)


def dc_vsr_unet_recipe() -> Recipe:
    """On REDS, with the degradation of RealBasicVSR; 4 GPUs in the paper, whose batch is accumulated."""
    both = Stage(
        name="all",
        objective=DCVSRDenoising(),
        trainable=("all",),
        clips=DC_VSR_CLIPS,
        steps=5_000,
        batch=256,
        micro_batch=1,
        optimizer=Optimizer(rate=1e-4, kind="adamw", weight_decay=0.01),
        checkpoint_gradients=True,
        source="DC-VSR supplement A: AdamW 1e-4, batch 256, 14 frames of 512x512, 5K iterations of all layers; "
        "weight decay is AdamW's usual",
    )
    spatial = replace(
        both,
        name="temporal-frozen",
        trainable=("spatial",),
        source="the same: 5K with temporal attention and temporal residual blocks frozen",
    )
    return Recipe(
        name=f"{DC_VSR_NAME}/unet",
        summary="DC-VSR's denoiser in two phases: all layers, then without those over time",
        stages=(both, spatial),
        needs=(f"converted weights of {DC_VSR_BASE}, or of {DC_VSR_NAME} to go on from (--start)",),
        small=lambda: replace(
            briefly(dc_vsr_unet_recipe(), crop_px=64, frames=2), make_start=partial(random_converted, DC_VSR_NAME)
        ),
    )
