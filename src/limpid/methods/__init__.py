"""Every method, as a composition of parts. Start reading here; `limpid.method.Method` says what the fields mean.

The keyword parameters of a method's function are the options it has of its own, by the names of `limpid.settings`.
A third party adds a method through the entry point group ``limpid.methods``: a name and such a function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.metadata import entry_points
from typing import Any

from limpid.method import Method
from limpid.methods.common import SUMMARIES as SUMMARIES
from limpid.methods.dc_vsr import dc_vsr
from limpid.methods.diffvsr import diffvsr
from limpid.methods.lavie_vsr import lavie_vsr
from limpid.methods.mgld_vsr import mgld_vsr
from limpid.methods.sd_x4_upscaler import sd_x4_upscaler
from limpid.methods.tiny import TINY_WEIGHTS as TINY_WEIGHTS
from limpid.methods.tiny import tiny
from limpid.methods.upscale_a_video import upscale_a_video
from limpid.settings import Settings
from limpid.types import SettingsError

METHODS: dict[str, Callable[..., Method]] = {
    "tiny": tiny,
    "mgld-vsr": mgld_vsr,
    "dc-vsr": dc_vsr,
    "upscale-a-video": upscale_a_video,
    "diffvsr": diffvsr,
    "lavie-vsr": lavie_vsr,
    "sd-x4-upscaler": sd_x4_upscaler,
}
"""Name -> function that composes the method. Nothing is loaded before it is called."""

OWN_OPTIONS = (
    "weights",
    "prompt",
    "negative_prompt",
    "prompts",
    "noise_level",
    "guidance",
    "guidance_scale",
    "attention",
    "attention_rate",
    "attention_frames",
    "image_embedding",
    "consistency",
    "propagation_steps",
    "motion_guidance",
    "sampler",
    "joint_frames",
    "flow",
    "autoencoder",
    "decoder_weight",
    "released",
)
"""Settings that are parameters of the methods' functions."""


def find_method(name: str, settings: Settings | None = None) -> Method:
    """The method of that name, ours or installed through the entry point group, with its options from ``settings``.

    Raises:
        SettingsError: there is no such method, or it does not have an option that was chosen.
        WeightsError: its weights are missing.
    """
    make = METHODS.get(name) or _installed(name)
    return make(**chosen_options(name, make, settings or Settings()))


def chosen_options(name: str, make: Callable[..., Method], settings: Settings) -> Mapping[str, Any]:
    """What the user chose among `OWN_OPTIONS`, as arguments for the method's function."""
    defaults = {field.name: field.default for field in fields(Settings)}
    chosen = {o: getattr(settings, o) for o in OWN_OPTIONS if getattr(settings, o) != defaults[o]}
    known = inspect.signature(make).parameters
    for option in chosen:
        if option not in known:
            raise SettingsError(f"{option} has no effect with the method {name}; leave it out")
    if settings.caption != "off" and "prompts" not in known:
        raise SettingsError(f"caption has no effect with the method {name}, which is not told any text; leave it out")
    return chosen


def _installed(name: str) -> Callable[..., Method]:
    found = {entry.name: entry for entry in entry_points(group="limpid.methods")}
    if name not in found:
        known = ", ".join(sorted({*METHODS, *found}))
        raise SettingsError(f"there is no method {name!r}; the methods here are: {known}")
    make: Callable[..., Method] = found[name].load()
    return make
