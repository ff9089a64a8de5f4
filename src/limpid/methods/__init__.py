"""Every method, as a composition of parts. Start reading here; `limpid.method.Method` says what the fields mean.

The keyword parameters of a method's function are the options it has of its own, by the names of `limpid.settings`.
A third party adds a method through the entry point group ``limpid.methods``: a name and such a function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from limpid.bounded import cut, meant, quoted
from limpid.method import Method
from limpid.methods.common import SUMMARIES as SUMMARIES
from limpid.methods.common import with_flow_weights
from limpid.methods.dc_vsr import dc_vsr
from limpid.methods.diffvsr import diffvsr
from limpid.methods.image import image
from limpid.methods.lavie_vsr import lavie_vsr
from limpid.methods.mgld_vsr import mgld_vsr
from limpid.methods.sd_x4_upscaler import sd_x4_upscaler
from limpid.methods.small import SMALL_WEIGHTS as SMALL_WEIGHTS
from limpid.methods.small import small
from limpid.methods.stream_diffvsr import stream_diffvsr
from limpid.methods.tiny import TINY_WEIGHTS as TINY_WEIGHTS
from limpid.methods.tiny import tiny
from limpid.methods.upscale_a_video import upscale_a_video
from limpid.options.declare import declared
from limpid.settings import Settings
from limpid.types import SettingsError

METHODS: dict[str, Callable[..., Method]] = {
    "small": small,
    "tiny": tiny,
    "image": image,
    "mgld-vsr": mgld_vsr,
    "dc-vsr": dc_vsr,
    "upscale-a-video": upscale_a_video,
    "diffvsr": diffvsr,
    "stream-diffvsr": stream_diffvsr,
    "lavie-vsr": lavie_vsr,
    "sd-x4-upscaler": sd_x4_upscaler,
}
"""Name -> function that composes the method. Nothing is loaded before it is called."""


def method_names() -> list[str]:
    """All methods here, those of installed packages included, which are not loaded for this."""
    return list(dict.fromkeys((*METHODS, *(entry.name for entry in entry_points(group="limpid.methods")))))


def find_method(name: str, settings: Settings | None = None) -> Method:
    """The method of that name, ours or installed through the entry point group, with its options from ``settings``.

    Raises:
        SettingsError: there is no such method, or it does not have an option that was chosen.
        WeightsError: its weights are missing.
    """
    make = _maker(name)
    return with_flow_weights(make(**chosen_options(name, make, settings or Settings())))


def options_with_effect(name: str, method: Method) -> list[str]:
    """The options that are not refused with the method of that name, in the order of `Settings`.

    Those of scope "method" are the parameters of its function, those of scope "engine" are in `Method.options`.
    """
    known = inspect.signature(_maker(name)).parameters
    silent = () if "prompts" in known else ("caption", "caption_model")
    lists = {"method": known, "engine": method.options}
    rows = [row for row in declared(Settings) if row.name not in silent]
    return [row.name for row in rows if row.name in lists.get(row.option.scope, (row.name,))]


def chosen_options(name: str, make: Callable[..., Method], settings: Settings) -> Mapping[str, Any]:
    """What the user chose among the options of scope "method", as arguments for the method's function."""
    chosen = settings.given("method")
    known = inspect.signature(make).parameters
    for option in chosen:
        if option not in known:
            raise SettingsError(f"{option} has no effect with the method {name}; leave it out{_or_with(option)}")
    if settings.caption != "off" and "prompts" not in known:
        raise SettingsError(f"caption has no effect with the method {name}, which is not told any text; leave it out")
    if settings.caption != "off" and "prompt" in known:
        # what needs a text will have one: captions are made when the shots are known
        chosen.setdefault("prompt", "a caption to come")
    return chosen


def _or_with(option: str) -> str:
    """Those of the methods that run anywhere that have the option: nobody should have to look for them."""
    known = [name for name in ("small", "tiny") if option in inspect.signature(METHODS[name]).parameters]
    return f", or choose the method {' or '.join(known)}" if known else ""


def _maker(name: str) -> Callable[..., Method]:
    """The function of a method of ours, or of an installed package."""
    return METHODS.get(name) or _installed(name)


def _installed(name: str) -> Callable[..., Method]:
    found = {entry.name: entry for entry in entry_points(group="limpid.methods")}
    if name not in found:
        known = sorted(method_names())
        near = meant(name, known) or f"; the methods here are {', '.join(known)}"
        raise SettingsError(f"there is no method {quoted(name)}{near}")
    try:
        make: Callable[..., Method] = found[name].load()
    except Exception as error:  # whatever the code of somebody else raises when it is imported
        raise SettingsError(
            f"the method {quoted(name)} of the installed package {_package_of(found[name])} cannot be loaded: "
            f"{type(error).__name__}: {cut(str(error))}; the other methods are not affected"
        ) from error
    return make


def _package_of(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
