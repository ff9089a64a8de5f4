"""A dataclass of options as JSON Schema, for pages and other programs that offer them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from limpid.options.declare import Declared, declared

JSON_KINDS: dict[type, tuple[str, ...]] = {
    bool: ("boolean",),
    int: ("integer",),
    float: ("number",),
    str: ("string",),
    Fraction: ("string", "number"),
}


def schema_of(table: type, *, title: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of the plain JSON values that make a dataclass of options; no key is required.

    Beyond the standard's keywords each property has ``x-group``, its heading, ``x-scope`` (`Scope`), ``x-shown``
    (whether the short help has it) and, where it needs others, ``x-needs``: name of an option -> values of which it
    must have one (null: any), one of the named options being enough; an option that is null itself is as the method
    chooses.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": {row.name: _property(row) for row in declared(table)},
        "additionalProperties": False,
    }


def _property(row: Declared) -> dict[str, Any]:
    about = row.option
    kinds = [*JSON_KINDS[row.kind], *(["null"] if row.optional else [])]
    allowed = row.choices or about.among
    pattern = about.pattern and f"^(?:{about.pattern})$"
    bounds = {"minimum": about.least, "exclusiveMinimum": about.above, "maximum": about.most, "pattern": pattern}
    needs = about.needs and {name: wanted and list(wanted) for name, wanted in about.needs.any_of.items()}
    return {
        "type": kinds[0] if len(kinds) == 1 else kinds,
        "description": about.help,
        "default": str(row.default) if isinstance(row.default, Fraction) else row.default,
        **({"enum": [*allowed, *([None] if row.optional else [])]} if allowed else {}),
        **{word: bound for word, bound in bounds.items() if bound is not None},
        "x-group": about.group,
        "x-scope": about.scope,
        "x-shown": about.shown,
        **({"x-needs": needs} if needs else {}),
    }
