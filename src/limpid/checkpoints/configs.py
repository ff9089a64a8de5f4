"""Configurations of networks from files: JSON of a bounded size whose numbers cannot make a network without end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpid.bounded import check_depth, json_object, quoted, read_json
from limpid.types import WeightsError

MAX_CONFIG_BYTES = 4 << 20
_MOST = 1 << 20
"""Largest value of any number: the largest in published configurations are sizes of vocabularies, some 50 000."""
MOST_COUNTED = 256
"""Largest count of what a network has one module each of."""
COUNTED = ("layer", "block", "num_heads", "num_attention_heads", "depth", "mult")
_LONGEST = 64
"""Levels, blocks and the like; lists of other things are no part of what builds a network."""


def read_config(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises WeightsError."""
    try:
        return json_object(read_json(path, MAX_CONFIG_BYTES))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise WeightsError(f"{path} is damaged: {error}") from error


def check_config(config: Mapping[str, Any]) -> None:
    """Raises WeightsError for numbers that no network has."""
    try:
        check_depth(dict(config), 8)
        for name, value in config.items():
            _check(name, value)
    except ValueError as error:
        raise WeightsError(f"the configuration of a network cannot be: {error}") from error


def _check(name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for inner, part in value.items():
            _check(str(inner), part)
    elif isinstance(value, list | tuple):
        if len(value) > _LONGEST:
            raise ValueError(f"{quoted(name)} has {len(value)} entries, at most {_LONGEST} are possible")
        for part in value:
            _check(name, part)
    elif isinstance(value, int) and not isinstance(value, bool):
        most = MOST_COUNTED if any(word in name for word in COUNTED) and "channels" not in name else _MOST
        if abs(value) > most:
            raise ValueError(f"{quoted(name)} is {quoted(value)}, at most {most} is possible")
