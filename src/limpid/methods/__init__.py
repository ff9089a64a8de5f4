"""Every method, as a composition of parts. Start reading here; `limpid.method.Method` says what the fields mean.

The keyword parameters of a method's function are the options it has of its own, by the names of `limpid.settings`.
A third party adds a method through the entry point group ``limpid.methods``: a name and such a function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from importlib.metadata import entry_points
from typing import Any

from limpid.method import Method
from limpid.methods.dc_vsr import NAME as DC_VSR
from limpid.methods.dc_vsr import SUMMARY as DC_VSR_SUMMARY
from limpid.methods.dc_vsr import dc_vsr
from limpid.methods.mgld_vsr import NAME as MGLD_VSR
from limpid.methods.mgld_vsr import SUMMARY as MGLD_VSR_SUMMARY
from limpid.methods.mgld_vsr import mgld_vsr
from limpid.methods.tiny import TINY_WEIGHTS as TINY_WEIGHTS
from limpid.methods.tiny import tiny
from limpid.methods.upscalers import FAMILY, compose
from limpid.settings import Settings
from limpid.types import SettingsError

METHODS: dict[str, Callable[..., Method]] = {
    "tiny": tiny,
    MGLD_VSR: mgld_vsr,
    DC_VSR: dc_vsr,
    **{name: partial(compose, member) for name, member in FAMILY.items()},
}
"""Name -> function that composes the method. Nothing is loaded before it is called."""

SUMMARIES = {
    MGLD_VSR: MGLD_VSR_SUMMARY,
    DC_VSR: DC_VSR_SUMMARY,
    **{name: member.summary for name, member in FAMILY.items()},
}
"""What methods are, also those whose weights are not here."""

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
