"""An argparse parser that answers fast, says errors in one sentence, and prints the same help on every Python."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Iterable
from typing import Any, NoReturn

from limpid.bounded import meant, quoted
from limpid.cli.mistyped import in_our_words, refuse_mistyped
from limpid.types import SettingsError

HELP_WIDTH = 100
INDENT = 26

EXIT_CODES = """exit codes:
  0    done
  2    an option or its value is wrong
  3    an input cannot be used
  4    the output cannot be written
  5    too little memory or disk space
  6    weights are missing, incomplete or refused
  70   a defect in Limpid (LIMPID_DEBUG=1 or --traceback shows where)
  130  stopped; the same command goes on where it was
  With several inputs the highest code of the files that failed."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """The layout of Python 3.13 (``-o, --output FILE``) on every Python, in the terminal's width up to `HELP_WIDTH`."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        kwargs |= {"width": terminal_columns(), "max_help_position": INDENT}
        super().__init__(prog, **kwargs)

    def _format_usage(self, *parts: Any) -> str:
        """What is typed goes on under itself where a line is too long for the terminal."""
        return "".join(_hanging(line, terminal_columns()) for line in super()._format_usage(*parts).splitlines(True))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Line breaks of the text stay, since they part paragraphs and lists; what is still too long is wrapped."""
        return "".join(indent + wrapped(line, width - len(indent)) for line in text.splitlines(keepends=True))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return str(action.metavar or action.dest)
        names = ", ".join(action.option_strings)
        return names if action.nargs == 0 else f"{names} {action.metavar or action.dest.upper()}"

    def entry(self, action: argparse.Action) -> tuple[str, str]:
        """What is typed for an argument, and what the help says of it."""
        return self._format_action_invocation(action), self._expand_help(action) if action.help else ""


def wrapped(line: str, width: int) -> str:
    """A line of help in lines of so many columns; where it has a second column, the rest stands under that."""
    body = line.rstrip("\n")
    if len(body) <= width:
        return line
    columns = re.match(r" *(\S.*? {2,})?", body)
    rest = " " * (columns.end() if columns is not None and columns.end() < width // 2 else 2)
    start = body[: len(body) - len(body.lstrip())]
    indents: dict[str, Any] = {"initial_indent": start, "subsequent_indent": rest if start else ""}
    lines = textwrap.wrap(body.strip(), width, break_on_hyphens=False, **indents)
    return "\n".join(lines) + line[len(body) :]


def _hanging(line: str, width: int) -> str:
    """A line of usage in lines of so many columns, the further ones four columns to the right of "limpid"."""
    body = line.rstrip("\n")
    if len(body) <= width:
        return line
    indent = " " * max(0, body.find("limpid"))
    lines = textwrap.wrap(body, width, subsequent_indent=indent + "    ", break_on_hyphens=False)
    return "\n".join(lines) + line[len(body) :]


def terminal_columns() -> int:
    """The width for help: that of the terminal, `HELP_WIDTH` at most and where there is none."""
    return min(HELP_WIDTH, shutil.get_terminal_size((HELP_WIDTH, 24)).columns)


class Parser(argparse.ArgumentParser):
    """Raises `SettingsError` with one sentence where argparse would print its usage and exit."""

    def __init__(self, prog: str, *, usage: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=HelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{in_our_words(message, self._words())} (see {self.prog} --help)")

    def _words(self) -> dict[str, list[str]]:
        """What is typed without an option before it, by its names in messages."""
        words = [action for action in self._actions if not action.option_strings]
        return {str(word.metavar or word.dest): [str(choice) for choice in word.choices or ()] for word in words}

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """What argparse asks for every value of an option or word that has a list of choices."""
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            name = "/".join(action.option_strings) or action.metavar or action.dest
            near = meant(str(value), known)
            self.error(f"{name}: {quoted(value)} is not one of {', '.join(known)}{near}")

    def flags(self) -> list[str]:
        """Every option, those that the help does not show as well."""
        return [name for action in self._actions for name in action.option_strings]

    def switches(self) -> list[str]:
        """The options that take no value."""
        return [name for action in self._actions if action.nargs == 0 for name in action.option_strings]


def parse(parser: Parser, arguments: Iterable[str]) -> argparse.Namespace:
    """Options may stand before, between and after the file names; after ``--`` everything is a file name."""
    words = list(arguments)
    refuse_mistyped(parser.prog, words, parser.flags(), parser.switches())
    if "--" in words:
        # argparse versions differ in how they read names after "--"; as paths they need no protection
        at = words.index("--")
        words[at:] = [f"./{name}" if name.startswith("-") else name for name in words[at + 1 :]]
    return parser.parse_intermixed_args(words)
