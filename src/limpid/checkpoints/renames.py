"""Rename rules: how the names of tensors in other people's files become ours. Plain data, applied in order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from limpid.bounded import cut

Value = TypeVar("Value")
Rules = tuple[tuple[str, str], ...]
"""(regular expression, replacement) pairs; every one is applied to every name, in order."""


def rename(key: str, rules: Rules) -> str:
    """The name after all rules."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def rename_all(state: Mapping[str, Value], rules: Rules) -> dict[str, Value]:
    """All names after all rules; a name that becomes empty is dropped. Raises ValueError when two become the same."""
    renamed: dict[str, Value] = {}
    for key, value in state.items():
        name = rename(key, rules)
        if not name:
            continue
        if name in renamed:
            raise ValueError(f"two tensors would be called {cut(name)}; the second is {cut(key)}")
        renamed[name] = value
    return renamed


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """What keeps a file from fitting a network."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    """``"conv_in.weight is (4, 3), not (8, 3)"``."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.shapes)

    def sentence(self, most: int = 3) -> str:
        """For a person: how many of each kind, and the first few names."""
        parts = []
        found = {"missing": self.missing, "not expected": self.extra, "of another shape": self.shapes}
        for label, names in found.items():
            if names:
                more = ", ..." if len(names) > most else ""
                parts.append(f"{len(names)} {label} ({', '.join(cut(name) for name in names[:most])}{more})")
        return "; ".join(parts)


def compare(found: Mapping[str, Iterable[int]], wanted: Mapping[str, Iterable[int]]) -> Mismatch:
    """Names and shapes of a file against those of a network."""
    shapes = [
        f"{cut(name, 60)} is {tuple(found[name])}, not {tuple(wanted[name])}"
        for name in wanted
        if name in found and tuple(found[name]) != tuple(wanted[name])
    ]
    return Mismatch(
        missing=tuple(name for name in wanted if name not in found),
        extra=tuple(name for name in found if name not in wanted),
        shapes=tuple(shapes),
    )
