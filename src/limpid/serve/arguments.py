"""Settings as the words of a command line: what a page shows to be copied, and what a job is started with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limpid.options.declare import Declared, declared
from limpid.settings import Settings


def chosen(settings: Settings) -> dict[str, Any]:
    """The settings that differ from their defaults, as plain JSON values."""
    values = settings.to_dict()
    return {row.name: values[row.name] for row in declared(Settings) if getattr(settings, row.name) != row.default}


def words_of(settings: Settings) -> list[str]:
    """Options of ``limpid upscale`` that give these settings."""
    return [word for row in declared(Settings) for word in _words(row, getattr(settings, row.name))]


def upscale_words(source: str | Path, output: str | Path, settings: Settings, *, overwrite: bool) -> list[str]:
    """What follows ``limpid`` on the command line of a run; both paths are absolute, so neither can be an option."""
    return ["upscale", str(source), str(output), *words_of(settings), *(["--overwrite"] if overwrite else [])]


def command_line(words: list[str]) -> str:
    """A line for a POSIX shell."""
    return shlex.join(["limpid", *words])


def _words(row: Declared, value: Any) -> Iterator[str]:
    if value == row.default:
        return
    flag = "--" + row.name.replace("_", "-")
    if isinstance(value, bool):
        yield flag if value else f"--no-{row.name.replace('_', '-')}"
    else:
        yield f"{flag}={_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return str(value)
