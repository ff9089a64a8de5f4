"""The decoders of Upscale-A-Video, DiffVSR and MGLD-VSR, from those of the image models they stand on.

The papers of the first two do not give the weights of the losses, nor steps, batch and rate for this part: where theirs
are missing, the perceptual term has the weight 1 of VQGAN (Esser et al. 2021), the adversarial one the 0.025 of
MGLD-VSR, and rate and crops are those of their U-Nets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from limpid.train.objectives.autoencoder import DecoderTraining, LossWeights
from limpid.train.stage import ClipSpec, Optimizer, Recipe, Stage
from limpid.train.starts.autoencoder import AutoencoderChoice
from limpid.train.starts.random import random_converted, random_start

UPSCALE_A_VIDEO_AUTOENCODER = AutoencoderChoice(
    kind="UpscalerVAE",
    folder="video_vae",
    options={"temporal_decoder": True, "lr_condition": True, "lr_channels": 128, "norm_scope": "window"},
)
DIFFVSR_AUTOENCODER = AutoencoderChoice(kind="TemporalVAE", folder="vae")
MGLD_VSR_AUTOENCODER = AutoencoderChoice(kind="CFWVAE", folder="vae", anew=True)
_CLIPS = ClipSpec(frames=8, crop_px=320)
_NEEDS = (
    "converted weights with the image autoencoder, those of sd-x4-upscaler or of the trained U-Net (--start)",
    "latents of the trained U-Net (limpid train latents, then --latents); without, they are imitated",
    "the files of the metric lpips (--assets); without, another loss takes the place of LPIPS",
)


def upscale_a_video_autoencoder() -> Recipe:
    """100K clips with latents of the U-Net; about ten passes over them."""
    stage = Stage(
        name="decoder",
        objective=DecoderTraining(network=UPSCALE_A_VIDEO_AUTOENCODER, critic_first_steps=500),
        trainable=("temporal", "condition"),
        clips=_CLIPS,
        steps=30_000,
        batch=32,
        micro_batch=1,
        optimizer=Optimizer(rate=1e-4, kind="adam", betas=(0.5, 0.9)),
        checkpoint_gradients=True,
        source="UAV sections 3.2 and 4.1: L1, LPIPS, temporal PatchGAN; spatial layers frozen; 100K clips",
    )
    return Recipe(
        name="upscale-a-video/vae",
        summary="Upscale-A-Video's decoder: layers over time, and the LR frames as a condition",
        stages=(stage,),
        needs=_NEEDS,
        small=lambda: small_autoencoder(
            upscale_a_video_autoencoder(), {**UPSCALE_A_VIDEO_AUTOENCODER.options, "lr_channels": 32}
        ),
    )


def diffvsr_autoencoder() -> Recipe:
    """TE-3DVAE: the paper does not say which layers learn; the encoder must not, the rest of the decoder adapts."""
    stage = Stage(
        name="decoder",
        objective=DecoderTraining(network=DIFFVSR_AUTOENCODER, critic_first_steps=500),
        trainable=("temporal", "spatial"),
        clips=replace(_CLIPS, strides=(1, 6)),
        steps=30_000,
        batch=96,
        micro_batch=1,
        optimizer=Optimizer(rate=1e-4, betas=(0.5, 0.9)),
        checkpoint_gradients=True,
        source="DiffVSR sections 3.3 and 4.1: L1, perceptual loss, temporal PatchGAN; AdamW 1e-4, batch 96, 320x320x8",
    )
    return Recipe(
        name="diffvsr/vae",
        summary="DiffVSR's TE-3DVAE: blocks and attention over time in the decoder",
        stages=(stage,),
        needs=_NEEDS,
        small=lambda: small_autoencoder(diffvsr_autoencoder(), {}),
    )


def mgld_vsr_autoencoder() -> Recipe:
    """Stage 2 of MGLD-VSR: convolutions over time and controllable feature warping (CFW); steps are ours."""
    weights = LossWeights(perceptual=0.5, difference=0.5, consistency=0.5, adversarial=0.025)
    stage = Stage(
        name="decoder",
        objective=DecoderTraining(
            network=MGLD_VSR_AUTOENCODER, weights=weights, critic="frames", critic_levels=3, critic_first_steps=500
        ),
        trainable=("temporal", "condition"),
        clips=ClipSpec(frames=5, crop_px=512),
        steps=50_000,
        batch=4,
        micro_batch=1,
        optimizer=Optimizer(rate=5e-5, kind="adam", betas=(0.5, 0.9)),
        checkpoint_gradients=True,
        source="MGLD sections 3.3 (MGLD Eq. 4 to 6: 0.5, 0.5, 0.025) and 4.1: batch 4, 5 frames of 512x512, Adam; "
        "weight of LPIPS, rate, betas and start of the critic from the released configuration",
    )
    return Recipe(
        name="mgld-vsr/vae",
        summary="MGLD-VSR's decoder: convolutions over time, and features of the enlarged input (CFW)",
        stages=(stage,),
        needs=("converted weights of mgld-vsr (--start), of which the image autoencoder is kept", *_NEEDS[1:]),
        small=lambda: replace(
            small_autoencoder(mgld_vsr_autoencoder(), {}),
            make_start=lambda folder: random_converted("mgld-vsr", folder),
        ),
    )


def small_autoencoder(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    """An autoencoder's recipe of few steps and channels; the decoder listens to the critic from its fourth step on."""
    (stage,) = recipe.stages
    assert isinstance(stage.objective, DecoderTraining)
    network = replace(stage.objective.network, options=options)
    objective = replace(stage.objective, network=network, critic_width=8, critic_levels=2, critic_first_steps=3)
    few = replace(
        stage,
        objective=objective,
        clips=replace(stage.clips, frames=2, crop_px=32, strides=(1, 2)),
        steps=6,
        batch=2,
        micro_batch=None,
        optimizer=replace(stage.optimizer, rate=1e-3),
        average=0.9,
    )
    summary = f"{recipe.summary} (for tests)"
    return replace(recipe, summary=summary, stages=(few,), small=None, make_start=random_start)
