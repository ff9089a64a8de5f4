"""What people type that is nearly right, and the sentence that says what to type instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from os.path import exists, isfile

from limpid.bounded import meant, quoted
from limpid.cli.words import shown
from limpid.types import SettingsError

OTHER_TOOLS = {
    "--gpu": "--device cuda:N (or --device auto, which takes a GPU when there is one)",
    "--gpu-id": "--device cuda:N (or --device auto, which takes a GPU when there is one)",
    "--cuda": "--device cuda",
    "--cpu": "--device cpu",
    "--outscale": "--scale",
    "--upscale": "--scale",
    "--model": "--method",
    "--input": "the name of the input, without an option before it",
    "--tile": "--tile-px",
    "--fp16": "--dtype float16",
    "--half": "--dtype float16",
    "--force": "--overwrite",
    "--yes": "--overwrite",
}
"""Options of other tools, by what they are called here."""

READS_FILES = frozenset({"limpid upscale", "limpid probe", "limpid compare", "limpid degrade"})
"""Commands whose words without a dash are names of files."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def no_command(word: str, commands: Iterable[str]) -> str:
    """The sentence for a first word that is no command: often it is the film itself."""
    known = list(commands)
    if word.startswith("-") and not exists(word):
        return f"{quoted(word)} stands before a command; write limpid COMMAND {shown(word)} (see limpid --help)"
    if exists(word) or _ADDRESS.match(word):
        return f"{shown(word)} is no command; to enlarge it: limpid upscale {_typed(word)}"
    near = meant(word, known) or f"; the commands are {', '.join(known)}"
    return f"{quoted(word)} is not a command{near} (see limpid --help)"


def refuse_mistyped(prog: str, words: Sequence[str], flags: Sequence[str]) -> None:
    """Refuses words that no command of Limpid takes, before argparse does with less to say. Raises SettingsError.

    Args:
        prog: the command, as its help is asked for.
        words: what was typed after it; what follows ``--`` is a name.
        flags: the long options of the command.
    """
    typed = words[: words.index("--")] if "--" in words else words
    for before, word in zip(["", *typed], typed, strict=False):
        sentence = _mistyped_option(word, flags)
        if prog in READS_FILES and not before.startswith("--"):
            sentence = sentence or _no_file(word)
        if sentence:
            raise SettingsError(f"{sentence} (see {prog} --help)")


def _no_file(word: str) -> str:
    if word == "-":
        return "Limpid reads and writes files, not pipes; give the name of a file instead of -"
    if _ADDRESS.match(word) and not exists(word):
        return f"{quoted(word)} is an address; Limpid makes no connections: download it first and name the file"
    if word.startswith("-") and isfile(word):
        return f"{shown(word)} looks like an option; write ./{shown(word)} for the file"
    return ""


def _mistyped_option(word: str, flags: Sequence[str]) -> str:
    name = word.split("=")[0]
    if not name.startswith("--") or name in flags or isfile(word):
        return ""
    if name in OTHER_TOOLS:
        return f"there is no option {name}; here it is {OTHER_TOOLS[name]}"
    near = meant(name, flags)
    return f"there is no option {quoted(name)}{near}" if near else ""


def _typed(word: str) -> str:
    return f"./{shown(word)}" if word.startswith("-") else shown(word)
