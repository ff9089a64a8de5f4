"""Values from outside (options, JSON records, journals, configs), each read by one parser that has a bound.

Everything here raises ValueError with a short sentence part; whoever reads the value says in which file or option it
stands. Nothing a value contains can make these take long, use much memory, or print more than a line.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
import re
import reprlib
import stat
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

MAX_JSON_BYTES = 64 << 20
MAX_DEPTH = 48
MAX_ITEMS = 2_000_000
"""Entries of a list in a record, at most; a film of a day has some two million frames."""
MAX_FIELD = 2**40
"""No size, count or number of a frame in a record of Limpid comes near this."""
MAX_WHOLE = 2**63 - 1
MAX_TEXT = 4096
SHOWN = 80
"""Characters of a value that a sentence repeats."""

_DECIMAL = re.compile(r"[+-]?(\d{1,18}(\.\d{0,18})?|\.\d{1,18})([eE][+-]?\d{1,2})?", re.ASCII)
_RATIO = re.compile(r"([+-]?\d{1,20})\s*/\s*(\d{1,20})", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    """Text with every control character, line break and mark of writing direction escaped."""
    return _CONTROL.sub(_escape, text)


def printable(text: str) -> str:
    """Text of several lines with control characters and marks of writing direction escaped; newlines and tabs stay."""
    return _CONTROL_IN_LINES.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def quoted(value: object, most: int = SHOWN) -> str:
    """A value for a sentence: cut, on one line, and never expensive."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        return f"a number of about {value.bit_length() * 3 // 10} digits"
    if isinstance(value, str | bytes):
        return cut(repr(value[: most + 1]), most) if len(value) > most else one_line(repr(value))
    short = reprlib.Repr()
    short.maxlevel, short.maxother, short.maxstring, short.maxlong = 2, most, most, most
    return cut(one_line(short.repr(value)), most)


def cut(text: str, most: int = SHOWN) -> str:
    """At most so many characters, on one line."""
    text = one_line(text[: most + 1])
    return text if len(text) <= most else f"{text[: most - 3]}..."


def meant(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that refuses a name: ``"; did you mean upscale?"``, or nothing when none is near."""
    names = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name[:SHOWN].lower(), names, n=1, cutoff=0.6)
    return f"; did you mean {names[near[0]]}?" if near else ""


def whole_number(value: object, *, least: int = 0, most: int = MAX_WHOLE) -> int:
    """A whole number in a range, as JSON or as digits."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{quoted(value)} is no whole number from {least} to {most}")
    return value


def real(value: object, *, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number in a range."""
    if type(value) not in (int, float) or not math.isfinite(value) or not least <= value <= most:  # type: ignore[arg-type, operator]
        raise ValueError(f"{quoted(value)} is no number from {least:g} to {most:g}")
    return float(value)  # type: ignore[arg-type]


def fraction(value: object) -> Fraction:
    """An exact number: ``25``, ``29.97``, ``"30000/1001"``; at most 20 digits and an exponent of two."""
    if isinstance(value, Fraction):
        return value
    if type(value) is float and math.isfinite(value) and abs(value) < 1e18:
        return Fraction(value)
    if type(value) is int and abs(value) <= MAX_WHOLE:
        return Fraction(value)
    if isinstance(value, str) and len(value) <= SHOWN:
        text = value.strip()
        if (ratio := _RATIO.fullmatch(text)) and int(ratio[2]):
            return Fraction(int(ratio[1]), int(ratio[2]))
        if _DECIMAL.fullmatch(text):
            return Fraction(text)
    raise ValueError(f"{quoted(value)} is no number; write 25, 29.97 or 30000/1001")


def text(value: object, most: int = MAX_TEXT) -> str:
    """A text that is not too long and can be encoded."""
    if not isinstance(value, str) or len(value) > most or "\0" in value:
        raise ValueError(f"{quoted(value)} is no text of at most {most} characters")
    return value


def truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{quoted(value)} is neither true nor false")
    return value


def json_object(value: object, needed: Iterable[str] = (), known: Iterable[str] | None = None) -> dict[str, Any]:
    """A JSON object that has certain names, and no others than ``known`` when those are given."""
    if not isinstance(value, dict):
        raise ValueError(f"{quoted(value)} is no JSON object")
    for name in needed:
        if name not in value:
            raise ValueError(f"{name} is missing")
    if known is not None and (extra := set(value) - set(known) - set(needed)):
        raise ValueError(f"{quoted(min(extra))} is not known")
    return value


def items(value: object, *, most: int, least: int = 0) -> list[Any]:
    """A JSON list of a bounded length."""
    if not isinstance(value, list | tuple) or not least <= len(value) <= most:
        raise ValueError(f"{quoted(value)} is no list of {least} to {most} values")
    return list(value)


def parse_json(data: str | bytes) -> Any:
    """JSON without numbers of thousands of digits, without NaN, and not nested deeply."""
    try:
        value = json.loads(data, parse_int=_json_int, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    check_depth(value)
    return value


def _json_int(digits: str) -> int:
    if len(digits) > 40:
        raise ValueError(f"it has a number of {len(digits)} digits")
    return int(digits)


def _no_constant(name: str) -> Any:
    raise ValueError(f"it has {name} where a number should be")


def check_depth(value: object, most: int = MAX_DEPTH) -> None:
    """Raises ValueError for lists and objects that are nested more than ``most`` deep."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > most:
            raise ValueError("it is nested too deeply")
        inner = [part for part in level if isinstance(part, dict | list)]
        level = [part for each in inner for part in (each.values() if isinstance(each, dict) else each)]


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The contents of a file; pipes, devices and files that are too large are refused before they are read."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        if found.st_size > most_bytes:
            raise ValueError(f"it has {found.st_size} bytes, more than the {most_bytes} that are read")
        return file.read(most_bytes)


def read_json(path: Path, most_bytes: int = MAX_JSON_BYTES) -> Any:
    """The JSON value in a file. Raises OSError, or ValueError with the reason."""
    return parse_json(read_regular(path, most_bytes))


def check_fields(instance: Any, *, least: int = 0, most: int = MAX_FIELD) -> None:
    """Raises ValueError unless every field of a dataclass made from a record is of its kind and in bounds.

    Dataclasses do not look at what they are given; a record from a file may have a text where a number belongs.
    """
    for field, kind in get_type_hints(type(instance)).items():
        try:
            _check_kind(getattr(instance, field), kind, least, most)
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from None


def _check_kind(value: object, kind: Any, least: int, most: int) -> None:
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if value is None and type(None) in kinds:
        return
    kind = next(each for each in kinds if each is not type(None))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{quoted(value)} is not one of {', '.join(map(str, get_args(kind)))}")
    elif get_origin(kind) is tuple:
        for each in items(value, most=MAX_ITEMS):
            _check_kind(each, get_args(kind)[0], least, most)
    elif dataclasses.is_dataclass(kind):
        if not isinstance(value, kind):  # type: ignore[arg-type]
            raise ValueError(f"{quoted(value)} is no {kind}")
        check_fields(value, least=least, most=most)
    else:
        _check_plain(value, kind, least, most)


def _check_plain(value: object, kind: Any, least: int, most: int) -> None:
    if kind is int:
        whole_number(value if type(value) is int else None, least=least, most=most)
    elif kind is float:
        real(value, least=-(2.0**63), most=2.0**63)
    elif kind is str:
        text(value)
    elif kind is bool:
        truth(value)
    elif not isinstance(value, kind):
        raise ValueError(f"{quoted(value)} is no {getattr(kind, '__name__', kind)}")
