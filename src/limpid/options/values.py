"""Checking the values of options against what is declared of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from limpid.bounded import fraction, quoted
from limpid.options.declare import Declared, Needs, Option
from limpid.types import SettingsError


def as_declared(row: Declared, value: Any) -> Any:
    """The value in its declared kind: values also come from JSON and keywords. Raises SettingsError."""
    if value is None and row.optional:
        return None
    if row.choices:
        if value not in row.choices:
            raise SettingsError(f"{row.name} is {quoted(value)}; {_instead(row, value)}")
        return value
    return _as_plain(row.name, value, row.kind)


def _instead(row: Declared, value: Any) -> str:
    word = value.lower() if isinstance(value, str) else ""
    here = row.option.known_as.get(word) or (word if word in row.choices else "")
    return f"write {here}" if here else f"it can be {', '.join(row.choices)}"


def check_value(row: Declared, value: Any) -> None:
    """Raises SettingsError for a value of the right kind that is out of range or cannot be read."""
    about = row.option
    if value is None:
        return
    _check_range(row.name, value, about)
    if about.among and value not in about.among:
        raise SettingsError(f"{row.name} is {value}; it can be {' or '.join(map(str, about.among))}")
    if about.pattern is not None and not re.fullmatch(about.pattern, value):
        raise SettingsError(f"{row.name} is {quoted(value)}; it can be {about.help}")
    if about.parse is not None:
        about.parse(value)


def _as_plain(name: str, value: Any, kind: type) -> Any:
    wrong = SettingsError(f"{name} is {quoted(value)}; a value of kind {kind.__name__} is needed")
    if kind in (str, bool):
        if not isinstance(value, kind) or (isinstance(value, str) and "\0" in value):
            raise wrong
        return value
    if isinstance(value, bool) or (isinstance(value, str) and kind is not Fraction):
        raise wrong
    try:
        number = fraction(value) if kind is Fraction else kind(value)
    except (TypeError, ValueError, ArithmeticError):
        raise wrong from None
    if number != value and kind is not Fraction:
        raise wrong
    return number


def _check_range(name: str, value: Any, about: Option) -> None:
    least, above, most = about.least, about.above, about.most
    inside = (least is None or value >= least) and (above is None or value > above) and (most is None or value <= most)
    if inside:
        return
    words = [f"above {above:g}"] if above is not None else [f"{least:g} or more"] if least is not None else []
    words += [f"at most {most:g}"] if most is not None else []
    raise SettingsError(f"{name} is {_said(value)}; it must be {' and '.join(words)}")


def _said(value: Any) -> str:
    return str(value) if isinstance(value, Fraction) else quoted(value)


def without_effect(needs: Mapping[str, Needs], defaults: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each of the values that was changed from its default and lacks what it needs.

    An option is looked at where ``values`` has all the others that it may need, so that each caller judges what it
    knows: what is left to the method, for instance, after that has chosen.
    """
    for name, value in values.items():
        need = needs.get(name)
        if need is None or value == defaults[name] or not need.any_of.keys() <= values.keys():
            continue
        if not need.met(values):
            yield need.sentence.format(**values)
