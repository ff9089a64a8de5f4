"""The columns of a run: methods as they are named on the command line, and the rows of their ablation tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from limpid.bench.jobs import Variant
from limpid.bench.worker import BASELINES
from limpid.methods import find_method
from limpid.methods.ablations import ablation_rows
from limpid.options.declare import Declared, declared
from limpid.settings import Settings
from limpid.types import LimpidError, SettingsError

RESERVED = frozenset({"method", "scale", "height", "codec", "bit_depth", "fps", "preview"})
"""Settings that the harness sets itself."""
SETTING_ENDS = re.compile(r"\+(?=\w+=)|\+$")


def parse_methods(text: str, settings: Mapping[str, Any]) -> tuple[Variant, ...]:
    """``"bicubic,tiny,tiny:steps=1+seed=3"`` -> columns. Raises LimpidError for one that cannot be run here.

    A ``+`` begins another setting where a name and ``=`` follow; elsewhere it belongs to the value
    (``dc-vsr:attention=sap+tap+seed=3``).
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise SettingsError("no method was named; for instance --methods bicubic,lanczos,small")
    variants = tuple(_variant(word) for word in dict.fromkeys(words))
    for variant in variants:
        check_variant(variant, settings)
    return variants


def _variant(word: str) -> Variant:
    method, _, changes = word.partition(":")
    if method in BASELINES and changes:
        raise SettingsError(f"{method} has no settings to change; leave out {changes!r}")
    parts = [part for part in SETTING_ENDS.split(changes) if part]
    return Variant(label=word, method=method, changes=dict(parse_change(part) for part in parts))


def parse_change(text: str) -> tuple[str, Any]:
    """``"tile_px=64"`` -> the name of a setting and its value. Raises SettingsError for what cannot be changed."""
    name, _, value = text.partition("=")
    rows = {row.name: row for row in declared(Settings) if row.name not in RESERVED}
    if name not in rows:
        raise SettingsError(f"{name!r} cannot be changed for one method; these can: {', '.join(sorted(rows))}")
    return name, _read(rows[name], value)


def _read(row: Declared, text: str) -> Any:
    """A value in the kind that the option has; what is wrong with it otherwise is for `Settings` to say."""
    if row.kind is bool:
        return {"true": True, "false": False}.get(text, text)
    if row.kind is str:
        return text
    try:
        return row.kind(text)
    except ValueError:
        kind = "a whole number" if row.kind is int else "a number"
        raise SettingsError(f"{row.name}={text}: {kind} is needed") from None


def check_variant(variant: Variant, settings: Mapping[str, Any]) -> None:
    """Raises SettingsError for settings that cannot be, WeightsError where weights are missing."""
    if not variant.is_method:
        return
    chosen = Settings.from_dict({**variant.told(settings), "method": variant.method})
    find_method(variant.method, chosen)
    if chosen.caption == "auto" and chosen.caption_model is None:
        raise SettingsError("captions need a model: --set caption_model=NAME, as --caption-model of limpid upscale")


def ablation_variants(
    names: Iterable[str] | None, settings: Mapping[str, Any]
) -> tuple[tuple[Variant, ...], dict[str, str]]:
    """The rows of these methods (of all that declare some), and why some of them cannot be run here.

    Raises:
        SettingsError: a method declares no rows, or none of them can be run here.
    """
    declared = ablation_rows()
    chosen = list(declared) if names is None else list(names)
    for name in chosen:
        if name not in declared:
            raise SettingsError(f"{name} declares no ablation; these do: {', '.join(declared)}")
    variants, missing = [], {}
    for name in chosen:
        for label, changes in declared[name].items():
            variant = Variant(label=f"{name}: {label}".replace("/", "-"), method=name, changes=dict(changes))
            try:
                check_variant(variant, settings)
                variants.append(variant)
            except LimpidError as error:
                missing[variant.label] = str(error)
    if not variants:
        raise SettingsError(f"none of these can be run here: {next(iter(missing.values()))}")
    return tuple(variants), missing
