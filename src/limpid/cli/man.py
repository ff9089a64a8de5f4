"""``limpid man``: the manual page, in roff, from the parsers that ``--help`` is printed by."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from limpid import __version__
from limpid.cli.main import COMMANDS, EXAMPLES, SUMMARY
from limpid.cli.parser import EXIT_CODES, HelpFormatter, Parser, parse
from limpid.cli.tree import CommandNode, command_tree

USAGE = "limpid man"
DESCRIPTION = """Print the manual page of all commands.

  limpid man | man -l -
  limpid man > ~/.local/share/man/man1/limpid.1
"""
_VARIABLES = {
    "LIMPID_WEIGHTS": "where converted weights lie (default: limpid/weights in the user's cache folder)",
    "LIMPID_DEBUG": "1 shows where an error comes from, as --traceback does",
}


def make_parser() -> Parser:
    return Parser("limpid man", usage=USAGE, description=DESCRIPTION)


def command(arguments: list[str]) -> int:
    """Print the page; returns 0."""
    parse(make_parser(), arguments)
    print(man_page())
    return 0


def man_page() -> str:
    """The page as roff, by the macros of man(7)."""
    return "\n".join(_page(command_tree()))


def _page(nodes: tuple[CommandNode, ...]) -> Iterator[str]:
    yield f'.TH LIMPID 1 "" "limpid {__version__}" "User Commands"'
    yield from (".SH NAME", rf"limpid \- {_text(SUMMARY)}", ".SH SYNOPSIS", r"\fBlimpid\fR \fICOMMAND\fR ...")
    yield ".SH COMMANDS"
    for word, summary in COMMANDS.items():
        yield from _entry(f"limpid {word}", summary)
    yield from (".SH EXAMPLES", *_as_it_is(EXAMPLES))
    for node in (each for top in nodes for each in top.all()):
        yield from _section(node)
    yield from (".SH EXIT STATUS", *_as_it_is(EXIT_CODES.split("\n", 1)[1]), ".SH ENVIRONMENT")
    for name, says in _VARIABLES.items():
        yield from _entry(name, says)


def _section(node: CommandNode) -> Iterator[str]:
    parser = node.parser
    yield f'.SH "{_text(parser.prog.upper())}"'
    usage = [line.strip() for line in (parser.usage or parser.prog).splitlines()]
    yield from _as_it_is("\n".join(usage))
    yield from (".PP", *_as_it_is(parser.description or ""))
    for group in parser._action_groups:
        shown = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
        if shown and group.title:
            yield f'.SS "{_text(group.title)}"'
        for action in shown:
            yield from _argument(parser, action)


def _argument(parser: Parser, action: argparse.Action) -> Iterator[str]:
    yield from _entry(*HelpFormatter(parser.prog).entry(action))


def _entry(words: str, says: str) -> Iterator[str]:
    yield from (".TP", rf"\fB{_text(words)}\fR", _text(says))


def _as_it_is(text: str) -> Iterator[str]:
    """Lines that stay lines, and are not hyphenated or filled."""
    yield from (".nf", *map(_text, text.strip("\n").splitlines()), ".fi")


def _text(text: str) -> str:
    r"""A line of text for roff, in which no ``\``, ``-`` or ``'`` means something else, nor a dot at its beginning."""
    plain = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    return re.sub(r"^\.", r"\\&.", plain)
