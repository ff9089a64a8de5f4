"""The U-Nets of Upscale-A-Video and DiffVSR, from the SD x4 upscaler."""

from __future__ import annotations

from dataclasses import replace

from limpid.train.objectives.upscaler import UPSCALER_BASE, UpscalerDenoising
from limpid.train.recipes.autoencoders import UPSCALE_A_VIDEO_AUTOENCODER as UAV_VAE
from limpid.train.recipes.small import briefly
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage
from limpid.train.starts.random import random_start

TEMPORAL_KINDS = ("temporal_resnet", "temporal_attention", "temporal_module")
_NEEDS = (f"converted weights of {UPSCALER_BASE} (--start)",)
UPSCALER_CLIPS = ClipSpec(frames=8, crop_px=320, captions=True)
"""80x80 latent pixels: sections "Training Details" of both papers."""


def upscale_a_video_unet() -> Recipe:
    """32 GPUs in the paper; the batch is that of all processes together."""
    wide = Stage(
        name="webvid-youhq",
        objective=UpscalerDenoising(method="upscale-a-video", autoencoder=UAV_VAE),
        trainable=TEMPORAL_KINDS,
        clips=UPSCALER_CLIPS,
        steps=70_000,
        batch=384,
        micro_batch=4,
        optimizer=Optimizer(rate=1e-4, kind="adam"),
        checkpoint_gradients=True,
        source="UAV section 4.1: Adam 1e-4, batch 384, 80x80x8, 70K iterations on WebVid and YouHQ",
    )
    youhq = replace(
        wide,
        name="youhq",
        steps=10_000,
        clips=replace(UPSCALER_CLIPS, captions=False),
        source="the same: 10K on YouHQ only",
    )
    return Recipe(
        name="upscale-a-video/unet",
        summary="temporal layers of Upscale-A-Video's U-Net; spatial layers stay as they are",
        stages=(wide, youhq),
        needs=_NEEDS,
        small=lambda: small_upscaler_unet(upscale_a_video_unet()),
    )


def diffvsr_unet() -> Recipe:
    """Progressive learning (DiffVSR section 3.5); the paper does not give the numbers of iterations, these are ours."""
    objective = UpscalerDenoising(method="diffvsr", multi_scale=True, linear_betas=True)
    temporal = Stage(
        name="temporal-simple",
        objective=objective,
        trainable=(*TEMPORAL_KINDS, "multi_scale"),
        clips=replace(UPSCALER_CLIPS, strides=(1, 6), degradation="simple"),
        steps=50_000,
        batch=96,
        micro_batch=2,
        optimizer=Optimizer(rate=1e-4),
        checkpoint_gradients=True,
        source="DiffVSR sections 3.5 and 4.1: Gaussian blur and bicubic; AdamW 1e-4, batch 96, 320x320x8",
    )
    complex_clips = replace(temporal.clips, degradation="complex")
    adapt = replace(
        temporal, name="temporal-complex", clips=complex_clips, source="the same, stage 2: complex degradations"
    )
    refine = replace(
        adapt,
        name="all-high-quality",
        trainable=("all",),
        steps=20_000,
        source="stage 3: OpenVid and YouHQ, all layers",
    )
    return Recipe(
        name="diffvsr/unet",
        summary="DiffVSR's U-Net in three stages: simple damage, all damage, all layers on high quality",
        stages=(temporal, adapt, refine),
        needs=_NEEDS,
        small=lambda: small_upscaler_unet(diffvsr_unet()),
    )


def small_upscaler_unet(recipe: Recipe) -> Recipe:
    """A recipe of a U-Net whose stages take a few steps, on networks of a few channels."""
    return replace(briefly(recipe, crop_px=64, frames=3), make_start=random_start)
