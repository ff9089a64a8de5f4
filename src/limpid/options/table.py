"""What every dataclass of options can do: check itself, go through JSON, say what was chosen and what has no effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from limpid.bounded import meant, quoted
from limpid.options.declare import Needs, Scope, declared
from limpid.options.values import as_declared, check_value, without_effect
from limpid.types import SettingsError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of a dataclass whose fields are all made with `limpid.options.declare.option`.

    Raises:
        SettingsError: when a value is of the wrong kind or out of range; the sentence names the value and the limit.
    """

    def __post_init__(self) -> None:
        rows = declared(type(self))
        for row in rows:
            object.__setattr__(self, row.name, as_declared(row, getattr(self, row.name)))
        for row in rows:
            check_value(row, getattr(self, row.name))

    def replace(self, **changes: Any) -> Self:
        """A copy with some options changed. Raises SettingsError for a name that is no option."""
        self._refuse_unknown(changes)
        return dataclasses.replace(self, **changes)

    def given(self, scope: Scope) -> dict[str, Any]:
        """What the user chose among the options of that scope: those that differ from their defaults."""
        rows = [row for row in declared(type(self)) if row.option.scope == scope]
        return {row.name: value for row in rows if (value := getattr(self, row.name)) != row.default}

    def key(self) -> dict[str, Any]:
        """`to_dict` without the options that show in other facts of a run: what belongs to the journal key."""
        values = self.to_dict()
        return {row.name: values[row.name] for row in declared(type(self)) if row.option.in_key}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, in the order of the fields; `from_dict` turns them back."""
        values = dataclasses.asdict(self)
        return {name: str(value) if isinstance(value, Fraction) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Options from JSON values as `to_dict` gives them. Raises SettingsError for unknown names or bad values."""
        cls._refuse_unknown(values)
        return cls(**values)

    @classmethod
    def unused(cls, needs: Mapping[str, Needs] | None = None, **values: Any) -> list[str]:
        """Sentences on those of the values that have no effect beside the others; see `without_effect`.

        Args:
            needs: those that a method declares in place of the options' own.
            values: by the names of the options; a text joined by "+" may be the set of its parts.
        """
        rows = declared(cls)
        own = {row.name: row.option.needs for row in rows if row.option.needs is not None}
        return list(without_effect({**own, **(needs or {})}, {row.name: row.default for row in rows}, values))

    @classmethod
    def refuse(cls, needs: Mapping[str, Needs] | None = None, **values: Any) -> None:
        """Raises SettingsError for the first of the values that has no effect beside the others; see `unused`."""
        for sentence in cls.unused(needs, **values):
            raise SettingsError(sentence)

    @classmethod
    def _refuse_unknown(cls, values: Mapping[str, Any]) -> None:
        known = [row.name for row in declared(cls)]
        for name in values:
            if name not in known:
                near = meant(name, known) or f"; the options are {', '.join(known)}"
                raise SettingsError(f"{quoted(name)} is not an option{near}")
