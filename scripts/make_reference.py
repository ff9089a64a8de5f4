"""Writes docs/reference from the code: ``python scripts/make_reference.py [--check]``.

One page each for the commands (their parsers), the options of a run (`limpid.settings.Settings`), methods, metrics, and
what Python code imports. ``--check`` writes nothing and ends with 1 where a page is not what the code says.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import limpid
from limpid.checkpoints.manifest import ENTRIES
from limpid.choices import Group
from limpid.cli.main import COMMANDS, main
from limpid.cli.parser import HELP_WIDTH
from limpid.methods import METHODS, SUMMARIES
from limpid.metrics import METRICS
from limpid.options.declare import Declared, declared
from limpid.settings import Settings

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
HEAD = "<!-- Written by scripts/make_reference.py; do not edit. -->\n\n"
SCOPES = {
    "method": "methods that have it",
    "engine": "methods that allow it",
    "files": "files, not streams of frames",
    "always": "everything",
}

_SHIPPED = {
    "small": "Apache-2.0; trained on from realesr-animevideov3's, BSD-3-Clause (NOTICE)",
    "tiny": "Apache-2.0",
}
"""Licences of weights in the package, by method."""


def pages() -> dict[str, str]:
    """File name in docs/reference -> its text."""
    made = {"commands": commands, "settings": settings, "methods": methods, "metrics": metrics, "python": python}
    return {f"{name}.md": HEAD + "\n".join(make()).rstrip() + "\n" for name, make in made.items()}


def commands() -> Iterator[str]:
    yield "# Commands\n\nWhat `--help` prints. [The command line](../cli.md) says what it leaves out."
    for call in ([], *([name] for name in COMMANDS)):
        yield f"\n## {' '.join(['limpid', *call])}\n\n```text\n{help_of(call).rstrip()}\n```"


def help_of(call: list[str]) -> str:
    """The help in the width of the documentation, whatever the terminal."""
    with patch.dict(os.environ, COLUMNS=str(HELP_WIDTH)), contextlib.redirect_stdout(io.StringIO()) as text:
        main([*call, "--help"])
    return text.getvalue()


def settings() -> Iterator[str]:
    yield (
        "# Options of a run\n\n"
        "Every option of `limpid upscale`, of `limpid.upscale` in Python (by the same name), and of jobs of the HTTP\n"
        "interface. An option that would have no effect is refused. `limpid.settings.schema()` says the same in JSON."
    )
    rows = declared(Settings)
    for group in Group:
        yield f"\n## {str(group).capitalize()}\n"
        yield from table(("option", "default", "can be", "works with", "what it does"), _settings_of(rows, group))


def _settings_of(rows: Iterable[Declared], group: str) -> Iterator[tuple[str, ...]]:
    for row in rows:
        if row.option.group == group:
            flag = f"`--{row.name.replace('_', '-')}`"
            yield flag, _default(row.default), _range(row), SCOPES[row.option.scope], row.option.help


def _default(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _range(row: Declared) -> str:
    """What a value can be: words, limits, or a kind."""
    about = row.option
    if row.choices or about.among:
        return ", ".join(f"`{choice}`" for choice in row.choices or about.among)
    limits = [f"above {about.above:g}"] if about.above is not None else []
    limits += [f"from {_number(about.least)}"] if about.least is not None else []
    limits += [f"to {_number(about.most)}"] if about.most is not None else []
    names = {bool: "on or off", int: "whole number", float: "number", str: "text", Fraction: "fraction"}
    return " ".join([names[row.kind], *limits])


def _number(value: float) -> str:
    return f"{int(value)}" if value == int(value) else f"{value:g}"


def methods() -> Iterator[str]:
    yield (
        "# Methods\n\n"
        "What `--method` takes; `limpid methods` shows those of installed plugins, too, and whether weights are here.\n"
        "Only options of its own are named; [the others](settings.md) work with every method that allows them."
    )
    for name, make in METHODS.items():
        yield f"\n## {name}\n\n{SUMMARIES[name][0].upper()}{SUMMARIES[name][1:]}.\n"
        yield f"- Options of its own: {_own_options(make)}"
        yield f"- Weights: {_weights(name)}"


def _own_options(make: Callable[..., Any]) -> str:
    known = {row.name for row in declared(Settings) if row.option.scope == "method"}
    own = [f"`--{name.replace('_', '-')}`" for name in inspect.signature(make).parameters if name in known]
    return ", ".join(own) or "none"


def _weights(name: str) -> str:
    if name in _SHIPPED:
        return f"in the package, {_SHIPPED[name]}"
    if name not in ENTRIES:
        return "yours, by `--weights`"
    entry = ENTRIES[name]
    return f"`limpid weights fetch {name}`, `limpid weights convert {name}`; {entry.licence}"


def metrics() -> Iterator[str]:
    yield (
        "# Metrics\n\n"
        "What `limpid bench run --metrics`, `limpid compare --metrics` and `limpid.metrics.measure` take by name.\n"
        "[Metrics](../metrics.md) has exact definitions, licences, and what the numbers can be compared with.\n"
        "Needs: `gt` is the truth, `lr` the input.\n"
    )
    yield from table(
        ("name", "what", "better", "unit", "needs", "source"),
        (
            (f"`{m.name}`", m.label, str(m.better), m.unit or "", ", ".join(f"`{need}`" for need in m.needs), m.source)
            for m in METRICS.values()
        ),
    )


def python() -> Iterator[str]:
    yield (
        "# Python\n\n"
        "What `import limpid` has. Names are imported when they are first used, so the import itself is quick.\n"
        "All errors that users can meet are `limpid.types.LimpidError`s with a sentence."
    )
    for name in sorted(limpid.__all__, key=str.lower):
        thing = getattr(limpid, name)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield f"\n## limpid.{name}\n\n{_described(name, thing)}"


def _described(name: str, thing: Any) -> str:
    """Signature and docstring; of a class those of its public functions as well."""
    if thing is Settings:
        return "All [options of a run](settings.md), frozen: `limpid.Settings(scale=2).replace(crf=20)`."
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return f"{inspect.getdoc(thing)}"
    members = vars(thing).items() if inspect.isclass(thing) else ()
    own = [(name, thing), *(pair for pair in members if inspect.isfunction(pair[1]) and not pair[0].startswith("_"))]
    return "\n\n".join(f"```text\n{one}{inspect.signature(it)}\n\n{inspect.getdoc(it)}\n```" for one, it in own)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def run(check: bool) -> int:
    """0 when every page is what the code says, or was written."""
    wrong = [name for name, text in pages().items() if not _is(FOLDER / name, text)]
    if check:
        print(*(f"{name} is not what the code says: python scripts/make_reference.py" for name in wrong), sep="\n")
        return 1 if wrong else 0
    FOLDER.mkdir(exist_ok=True)
    for name in wrong:
        (FOLDER / name).write_text(pages()[name])
    print(f"written: {', '.join(wrong) or 'nothing, all pages are right'}")
    return 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(run("--check" in sys.argv[1:]))
