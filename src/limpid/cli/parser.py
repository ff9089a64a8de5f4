"""An argparse parser that answers fast, says errors in one sentence, and prints the same help on every Python."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable
from typing import Any, NoReturn

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
    """The layout of Python 3.13 (``-o, --output FILE``) on every version, never wider than `HELP_WIDTH`."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        columns = shutil.get_terminal_size((HELP_WIDTH, 24)).columns
        kwargs |= {"width": min(HELP_WIDTH, columns), "max_help_position": INDENT}
        super().__init__(prog, **kwargs)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return str(action.metavar or action.dest)
        names = ", ".join(action.option_strings)
        return names if action.nargs == 0 else f"{names} {action.metavar or action.dest.upper()}"


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
        raise SettingsError(f"{message} (see {self.prog} --help)")


def parse(parser: Parser, arguments: Iterable[str]) -> argparse.Namespace:
    """Options may stand before, between and after the file names; after ``--`` everything is a file name."""
    words = list(arguments)
    if "--" in words:
        # argparse versions differ in how they read names after "--"; as paths they need no protection
        at = words.index("--")
        words[at:] = [f"./{name}" if name.startswith("-") else name for name in words[at + 1 :]]
    return parser.parse_intermixed_args(words)
