"""Recipes: what is trained, with the papers' numbers. Each module has functions that return one; all are listed here.

A recipe of your own is a Python file with ``RECIPE``, or with a function ``recipe()`` that returns one.
"""

from __future__ import annotations

import runpy
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from limpid.bounded import meant
from limpid.types import SettingsError

if TYPE_CHECKING:
    from limpid.train.stage import Recipe

RECIPES = {
    "small": ".small_model:small_faithful",
    "small/vivid": ".small_model:small_vivid",
    "tiny": ".tiny:tiny_denoiser",
    "tiny/vivid": ".tiny:tiny_vivid",
    "tiny/clean": ".tiny:tiny_clean",
    "tiny/together": ".tiny:tiny_together",
    "tiny/few-step": ".few_step:tiny_few_step",
    "upscale-a-video/unet": ".upscaler_unet:upscale_a_video_unet",
    "upscale-a-video/vae": ".autoencoders:upscale_a_video_autoencoder",
    "upscale-a-video/few-step": ".few_step:upscale_a_video_few_step",
    "upscale-a-video/light-decoder": ".light_decoder:upscale_a_video_light_decoder",
    "diffvsr/unet": ".upscaler_unet:diffvsr_unet",
    "diffvsr/vae": ".autoencoders:diffvsr_autoencoder",
    "diffvsr/few-step": ".few_step:diffvsr_few_step",
    "diffvsr/light-decoder": ".light_decoder:diffvsr_light_decoder",
    "mgld-vsr/unet": ".mgld_vsr_unet:mgld_vsr_unet_recipe",
    "mgld-vsr/vae": ".autoencoders:mgld_vsr_autoencoder",
    "dc-vsr/unet": ".dc_vsr_unet:dc_vsr_unet_recipe",
    "dc-vsr/few-step": ".few_step:dc_vsr_few_step",
    "stream-diffvsr/all": ".stream_diffvsr:stream_diffvsr_recipe",
    "upscale-a-video/vae-without-input": ".ablations:upscale_a_video_decoder_without_input",
    "diffvsr/unet-direct": ".ablations:diffvsr_unet_direct",
    "diffvsr/unet-two-stage": ".ablations:diffvsr_unet_two_stage",
    "diffvsr/unet-without-msta": ".ablations:diffvsr_unet_without_msta",
    "diffvsr/vae-2d": ".ablations:diffvsr_image_decoder",
    "diffvsr/vae-3d": ".ablations:diffvsr_decoder_without_attention",
    "mgld-vsr/vae-cfw": ".ablations:mgld_vsr_decoder_cfw",
    "mgld-vsr/vae-temporal": ".ablations:mgld_vsr_decoder_temporal",
    "mgld-vsr/vae-without-sequence-losses": ".ablations:mgld_vsr_decoder_without_sequence_losses",
    "mgld-vsr/vae-without-difference": ".ablations:mgld_vsr_decoder_without_difference",
    "mgld-vsr/vae-without-consistency": ".ablations:mgld_vsr_decoder_without_consistency",
}
"""Name -> module and function; nothing is imported before it is asked for."""


def find_recipe(name: str) -> Recipe:
    """A recipe by name, or from a Python file. Raises SettingsError when there is none."""
    if name in RECIPES:
        module, _, function = RECIPES[name].partition(":")
        found: Recipe = getattr(import_module(module, __name__), function)()
        return found
    if name.endswith(".py"):
        return _from_file(Path(name))
    near = meant(name, RECIPES) or f"; there are {', '.join(RECIPES)}, or a Python file"
    raise SettingsError(f"there is no recipe {name!r}{near}")


def small_recipe(recipe: Recipe) -> Recipe:
    """The recipe with tiny networks and few steps, for trying. Raises SettingsError when it has none."""
    if recipe.small is None:
        raise SettingsError(f"recipe {recipe.name} has no small version; leave out --small")
    return recipe.small()


def _from_file(path: Path) -> Recipe:
    from limpid.train.stage import Recipe

    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file; a recipe is a name or a Python file")
    values = runpy.run_path(str(path))
    found = values["recipe"]() if callable(values.get("recipe")) else values.get("RECIPE")
    if not isinstance(found, Recipe):
        raise SettingsError(f"{path} defines neither RECIPE nor a function recipe() that returns a Recipe")
    return found
