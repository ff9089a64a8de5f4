"""The options of ``limpid upscale`` that are fields of `Settings`: all that is known of them is said there."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from limpid.bounded import fraction, quoted
from limpid.choices import Group
from limpid.options.declare import Declared, declared
from limpid.presets import LOOKS, load_preset, set_by_preset, with_preset
from limpid.settings import Settings

KIND_WORDS = {
    int: "a whole number",
    float: "a number",
    Fraction: "a frame rate such as 25, 29.97 or 30000/1001",
    str: "text",
}
METAVARS = {int: "N", float: "X"}


def add_settings(parser: argparse.ArgumentParser, table: type = Settings, *, shown: bool = True) -> None:
    """Add one option per field of ``table``; those not given are absent from the parsed namespace.

    ``shown``: whether the help has them, or leaves them to that of ``limpid upscale``.
    """
    for title in Group:
        rows = [row for row in declared(table) if row.option.group == title]
        group = parser.add_argument_group(title)
        for row in rows:
            _add(group, row, shown=shown)


def add_preset(parser: argparse.ArgumentParser) -> None:
    """Add ``--preset-look``, whose settings `chosen_settings` puts below the others."""
    group = parser.add_argument_group("settings under a name")
    group.add_argument(
        "--preset-look",
        metavar="NAME",
        help=f"{', '.join(LOOKS)}, or one of your own (limpid presets); what is said besides wins",
    )


def chosen_settings(namespace: argparse.Namespace) -> dict[str, Any]:
    """The options that were said, above those of the preset that was named."""
    given = given_settings(namespace)
    return with_preset({**given, "preset_look": namespace.preset_look}) if namespace.preset_look else given


def preset_note(namespace: argparse.Namespace, settings: Settings) -> list[str]:
    """A sentence on what a preset has set, and what of it was said otherwise."""
    if not namespace.preset_look:
        return []
    values = load_preset(namespace.preset_look).settings
    kept = set_by_preset(settings)
    said = ", ".join(f"{name} {value}" for name, value in kept.items()) or "nothing"
    other = ", ".join(name for name in values if name not in kept)
    return [f"the preset {namespace.preset_look} sets {said}" + (f"; said otherwise: {other}" if other else "")]


def given_settings(namespace: argparse.Namespace, table: type = Settings) -> dict[str, Any]:
    """The options that were said on the command line, by the names of the fields."""
    names = [row.name for row in declared(table)]
    return {name: getattr(namespace, name) for name in names if hasattr(namespace, name)}


def _add(group: argparse._ArgumentGroup, row: Declared, *, shown: bool) -> None:
    flag, text = "--" + row.name.replace("_", "-"), _help(row) if shown else argparse.SUPPRESS
    if row.kind is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        return
    metavar = row.option.metavar or "|".join(row.choices) or METAVARS[row.kind]
    group.add_argument(flag, default=argparse.SUPPRESS, metavar=metavar, help=text, type=_reader(row.kind))


def _help(row: Declared) -> str:
    if not row.option.shown:
        return argparse.SUPPRESS
    said = row.default is None or row.kind is bool
    return row.option.help if said else f"{row.option.help} (default: {row.default})"


def _reader(kind: type) -> Callable[[str], Any]:
    """Text -> value, with a sentence for a person instead of the name of a Python type."""

    def read(text: str) -> Any:
        try:
            return fraction(text) if kind is Fraction else kind(text)
        except (ValueError, ArithmeticError):
            raise argparse.ArgumentTypeError(f"{quoted(text)} is not {KIND_WORDS[kind]}") from None

    return read
