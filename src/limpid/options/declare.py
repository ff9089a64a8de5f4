"""What is said of an option where it is declared, and the rows that are read back from a dataclass of options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

Scope = Literal["method", "engine", "files", "always"]
"""Where an option has an effect: with methods whose function has a parameter of its name; with methods that allow it
(`limpid.method.Method.options`); on files, but not on a stream of frames; with everything."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What other options must be for one to have an effect, as data: simple enough to be shown, greyed out and tested.

    What depends on the weights, the input or the machine is checked where those are known.
    """

    sentence: str
    """Said where the need is not met; ``{name}`` stands for the value of an option."""
    any_of: Mapping[str, tuple[Any, ...] | None]
    """Name of an option -> values of which it must have one (of values joined by "+", or in a set, one must be among
    them); None: any value that is not empty. One of the named options is enough."""

    def met(self, values: Mapping[str, Any]) -> bool:
        """Whether the values of the other options allow this one."""
        return any(_has(values[name], wanted) for name, wanted in self.any_of.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """What is known of one option besides its name, kind and default, which are the field's own."""

    group: str
    """Heading under which it is shown."""
    scope: Scope
    help: str
    """One line for a screen."""
    metavar: str | None = None
    """What stands for the value in the help; None: its choices, or N and X for numbers."""
    shown: bool = True
    """Whether ``--help`` prints it."""
    in_key: bool = True
    """Whether the journal key holds its value; not where it shows in other facts, or never changes a byte."""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    among: tuple[int, ...] = ()
    """The only numbers there are; words are a ``Literal`` instead."""
    pattern: str | None = None
    """Regular expression that a text must match as a whole; the help says what those texts are."""
    parse: Callable[[str], object] | None = None
    """Reads a text; raises SettingsError for one that is wrong. Its result is not kept."""
    needs: Needs | None = None
    known_as: Mapping[str, str] = field(default_factory=dict)
    """What others call its values -> the value, for the sentence that refuses them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """One row of the table: a field of a dataclass of options."""

    name: str
    default: Any
    kind: type
    """bool, int, float, str or Fraction."""
    choices: tuple[str, ...]
    """The only texts there are; empty: any."""
    optional: bool
    """Whether None is a value."""
    option: Option


def option(default: Any, group: str, scope: Scope, help: str, **about: Any) -> Any:
    """A field of a dataclass of options; ``about`` are the other fields of `Option`."""
    return field(default=default, metadata={"option": Option(group=group, scope=scope, help=help, **about)})


def declared(table: type) -> tuple[Declared, ...]:
    """The rows of a dataclass of options, in the order of its fields."""
    return _rows(table)


@cache
def _rows(table: type) -> tuple[Declared, ...]:
    hints = get_type_hints(table)
    return tuple(_row(each, hints[each.name]) for each in dataclasses.fields(table))


def _row(each: dataclasses.Field[Any], hint: Any) -> Declared:
    kinds = [hint] if get_origin(hint) is Literal else [k for k in get_args(hint) or (hint,) if k is not type(None)]
    choices = get_args(kinds[0]) if get_origin(kinds[0]) is Literal else ()
    return Declared(
        name=each.name,
        default=each.default,
        kind=str if choices else kinds[0],
        choices=choices,
        optional=type(None) in get_args(hint),
        option=each.metadata["option"],
    )


def _has(value: Any, wanted: tuple[Any, ...] | None) -> bool:
    if wanted is None:
        return bool(value)
    parts = value.split("+") if isinstance(value, str) else value if isinstance(value, Set) else (value,)
    return any(part in wanted for part in parts)
