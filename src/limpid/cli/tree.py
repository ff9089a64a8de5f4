"""Every command with its parser, in the order of ``limpid --help``: what completion and the man page are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from limpid.cli.main import COMMANDS
from limpid.cli.parser import Parser


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandNode:
    """One command. ``word``: what is typed for it; ``actions``: the commands that are typed after it."""

    word: str
    summary: str
    parser: Parser
    actions: tuple[CommandNode, ...] = ()

    def all(self) -> Iterator[CommandNode]:
        """This command and its actions."""
        yield self
        yield from self.actions


def command_tree() -> tuple[CommandNode, ...]:
    """All commands. Their modules are loaded, PyTorch is not."""
    return tuple(_command(word, summary) for word, summary in COMMANDS.items())


def _command(word: str, summary: str) -> CommandNode:
    module = import_module(f"limpid.cli.{word}")
    makers: dict[str, Callable[[], Parser]] = getattr(module, "PARSERS", {})
    actions = tuple(_action(action, make()) for action, make in makers.items())
    return CommandNode(word=word, summary=summary, parser=module.make_parser(), actions=actions)


def _action(word: str, parser: Parser) -> CommandNode:
    return CommandNode(word=word, summary=(parser.description or "").splitlines()[0].rstrip("."), parser=parser)
