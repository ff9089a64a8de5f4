"""Trainings of the papers' ablation tables: what one part of a method is worth, with all else as in its own recipe.

Each is the method's recipe with one thing left out. `limpid.bench.papers` says which row of which table they are for.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from limpid.train.objectives.autoencoder import DecoderTraining
from limpid.train.objectives.upscaler import UPSCALER_BASE, UpscalerDenoising
from limpid.train.recipes.autoencoders import (
    DIFFVSR_AUTOENCODER,
    UPSCALE_A_VIDEO_AUTOENCODER,
    diffvsr_autoencoder,
    mgld_vsr_autoencoder,
    small_autoencoder,
    upscale_a_video_autoencoder,
)
from limpid.train.recipes.upscaler_unet import diffvsr_unet, small_upscaler_unet
from limpid.train.stage import Recipe, Stage
from limpid.train.starts.autoencoder import AutoencoderChoice
from limpid.train.starts.random import random_converted

_FROM_IMAGE = f"converted weights of {UPSCALER_BASE}, or those with a decoder that diffvsr/vae has trained (--start)"


# ------------------------------------------------------------------------------------------ U-Nets of DiffVSR


def diffvsr_unet_direct() -> Recipe:
    """DiffVSR supplement A.1, (1): all damage from the first step on, layers over time only; as many steps in all."""
    simple, all_damage, refine = diffvsr_unet().stages
    direct = replace(
        all_damage,
        name="direct",
        steps=simple.steps + all_damage.steps + refine.steps,
        source="DiffVSR supplement A.1 (1): all degradations directly, only temporal layers; as many steps in all",
    )
    return _unet("direct", "DiffVSR's U-Net learning all damage at once (direct learning)", (direct,))


def diffvsr_unet_two_stage() -> Recipe:
    """DiffVSR supplement A.1, (2): simple damage with layers over time, then all damage with all layers."""
    simple, all_damage, refine = diffvsr_unet().stages
    second = replace(
        all_damage,
        name="all-complex",
        trainable=("all",),
        steps=all_damage.steps + refine.steps,
        source="DiffVSR supplement A.1 (2): complex degradations, all parameters; as many steps in all",
    )
    return _unet("two-stage", "DiffVSR's U-Net in two stages: simple damage, then all damage and all layers",
                 (simple, second))  # fmt: skip


def diffvsr_unet_without_msta() -> Recipe:
    """DiffVSR's three stages for a U-Net without multi-scale temporal attention, whose plain one stays."""
    stages = tuple(
        replace(
            stage,
            objective=UpscalerDenoising(method="diffvsr", linear_betas=True),
            trainable=tuple(kind for kind in stage.trainable if kind != "multi_scale"),
        )
        for stage in diffvsr_unet().stages
    )
    return _unet("without-msta", "DiffVSR's U-Net without multi-scale temporal attention", stages)


def _unet(name: str, summary: str, stages: tuple[Stage, ...]) -> Recipe:
    recipe = replace(diffvsr_unet(), name=f"diffvsr/unet-{name}", summary=summary, stages=stages, needs=(_FROM_IMAGE,))
    return replace(recipe, small=partial(small_upscaler_unet, recipe))


# ------------------------------------------------------------------------------------------ decoders


def diffvsr_image_decoder() -> Recipe:
    """DiffVSR Table 4, 2DVAE: the image model's decoder, taught the same clips frame by frame."""
    network = AutoencoderChoice(kind="UpscalerVAE", folder="vae")
    recipe = _decoder(diffvsr_autoencoder(), "diffvsr/vae-2d", "DiffVSR's decoder without any layer over time (2DVAE)",
                      network=network, trainable=("spatial",))  # fmt: skip
    return replace(recipe, small=partial(small_autoencoder, recipe, {}))


def diffvsr_decoder_without_attention() -> Recipe:
    """DiffVSR Table 4, 3DVAE: 3-D residual blocks, and no attention over time."""
    options = {"attention_over_time": False}
    network = replace(DIFFVSR_AUTOENCODER, options=options, anew=True)
    recipe = _decoder(diffvsr_autoencoder(), "diffvsr/vae-3d", "DiffVSR's decoder without attention over time (3DVAE)",
                      network=network)  # fmt: skip
    return replace(recipe, small=partial(small_autoencoder, recipe, options))


def upscale_a_video_decoder_without_input() -> Recipe:
    """Upscale-A-Video's decoder over time without the SFT by the LR frames; not a row of its paper."""
    options = {**UPSCALE_A_VIDEO_AUTOENCODER.options, "lr_condition": False}
    network = replace(UPSCALE_A_VIDEO_AUTOENCODER, options=options, anew=True)
    recipe = _decoder(upscale_a_video_autoencoder(), "upscale-a-video/vae-without-input",
                      "Upscale-A-Video's decoder over time that is not told of the LR frames",
                      network=network, trainable=("temporal",))  # fmt: skip
    return replace(recipe, small=partial(small_autoencoder, recipe, options))


def mgld_vsr_decoder_cfw() -> Recipe:
    """MGLD Table 5 (b) on the left: CFW learns, and the convolutions over time stay silent."""
    return _mgld("cfw", "CFW and no layers over time", trainable=("condition",))


def mgld_vsr_decoder_temporal() -> Recipe:
    """MGLD Table 5 (c) on the left: layers over time learn, and the input's features are not looked at."""
    return _mgld("temporal", "layers over time and no CFW", trainable=("temporal",), input_weight=0.0)


def mgld_vsr_decoder_without_sequence_losses() -> Recipe:
    """MGLD Table 5 (a) on the right: neither L_diff nor L_swc."""
    return _mgld("without-sequence-losses", "neither of the two losses over time", difference=0.0, consistency=0.0)


def mgld_vsr_decoder_without_difference() -> Recipe:
    """MGLD Table 5 (b) on the right: L_swc only."""
    return _mgld("without-difference", "the consistency loss and no frame difference", difference=0.0)


def mgld_vsr_decoder_without_consistency() -> Recipe:
    """MGLD Table 5 (c) on the right: L_diff only."""
    return _mgld("without-consistency", "the frame difference and no consistency loss", consistency=0.0)


def _mgld(
    name: str, words: str, *, trainable: tuple[str, ...] | None = None, input_weight: float = 1.0, **weights: float
) -> Recipe:
    base = mgld_vsr_autoencoder()
    (stage,) = base.stages
    assert isinstance(stage.objective, DecoderTraining)
    objective = replace(stage.objective, weights=replace(stage.objective.weights, **weights), input_weight=input_weight)
    stage = replace(stage, objective=objective, trainable=trainable or stage.trainable)
    recipe = replace(base, name=f"mgld-vsr/vae-{name}", summary=f"MGLD-VSR's decoder with {words}", stages=(stage,))
    return replace(recipe, small=partial(_small_mgld, recipe))


def _small_mgld(recipe: Recipe) -> Recipe:
    return replace(small_autoencoder(recipe, {}), make_start=partial(random_converted, "mgld-vsr"))


def _decoder(
    base: Recipe,
    name: str,
    summary: str,
    *,
    network: AutoencoderChoice,
    trainable: tuple[str, ...] | None = None,
) -> Recipe:
    (stage,) = base.stages
    assert isinstance(stage.objective, DecoderTraining)
    stage = replace(stage, objective=replace(stage.objective, network=network), trainable=trainable or stage.trainable)
    return replace(base, name=name, summary=summary, stages=(stage,))
