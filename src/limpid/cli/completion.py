"""``limpid completion``: a script that completes commands, options, their values and file names in a shell."""

from __future__ import annotations

import argparse
import copy

import shtab

from limpid.cli.choices import SETTING_NAMES, paths_for, words_for
from limpid.cli.parser import Parser, parse
from limpid.cli.tree import CommandNode, command_tree

SHELLS = ("bash", "zsh", "tcsh", "fish", "powershell")
USAGE = f"limpid completion {'|'.join(SHELLS)}"
DESCRIPTION = """Print a script that completes commands, options, methods, presets and file names.

  bash   limpid completion bash > ~/.local/share/bash-completion/completions/limpid
  zsh    limpid completion zsh > a folder of $fpath/_limpid
  tcsh   limpid completion tcsh > ~/.limpid.tcsh, and in ~/.tcshrc: source ~/.limpid.tcsh
  fish   limpid completion fish > ~/.config/fish/completions/limpid.fish

It holds the methods and presets that are there when it is made; make it again after adding some.
"""


def make_parser() -> Parser:
    parser = Parser("limpid completion", usage=USAGE, description=DESCRIPTION)
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=argparse.SUPPRESS)
    return parser


def command(arguments: list[str]) -> int:
    """Print the script; returns 0."""
    options = parse(make_parser(), arguments)
    print(completion_script(options.shell))
    return 0


def completion_script(shell: str) -> str:
    """The script for one of `SHELLS`."""
    root = argparse.ArgumentParser("limpid")
    root.add_argument("-V", "--version", action="version", help="the version")
    _add(root, command_tree())
    return str(shtab.complete(root, shell, root_prefix="limpid")).rstrip()


def _add(parent: argparse.ArgumentParser, nodes: tuple[CommandNode, ...]) -> None:
    """The commands again, as one tree of parsers, which is what shtab reads."""
    words = parent.add_subparsers()
    for node in nodes:
        child = words.add_parser(node.word, help=node.summary, add_help=False)
        for action in node.parser._actions:
            if action.option_strings or not node.actions:
                child._add_action(_completed(node.parser.prog, action))
        if node.actions:
            _add(child, node.actions)


def _completed(prog: str, action: argparse.Action) -> argparse.Action:
    """An argument with what can be typed for it; those that the help leaves out are completed where they are useful."""
    found = copy.copy(action)
    if not action.option_strings or action.dest in SETTING_NAMES:
        found.help = "" if action.help == argparse.SUPPRESS else action.help
    found.choices = words_for(prog, action) or None
    if path := paths_for(prog, action):
        found.complete = shtab.FILE if path == "file" else shtab.DIRECTORY  # type: ignore[attr-defined]
    return found
