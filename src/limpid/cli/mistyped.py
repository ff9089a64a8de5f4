"""What people type that is nearly right, and the sentence that says what to type instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from os.path import exists, isfile

from limpid.bounded import meant, quoted
from limpid.cli.words import shown
from limpid.types import SettingsError

SIZE = "--height PX, with the width that follows, or --scale X"
PART = "--preview A-B, as in --preview 00:10-00:12"
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
    "-y": "--overwrite",
    "-f": "--overwrite",
    "-i": "the name of the input, without an option before it",
    "-s": "--scale",
    "-n": "--method",
    "-m": "--method",
    "-g": "--device cuda:N",
    "-t": "--tile-px",
    "--size": SIZE,
    "--width": SIZE,
    "--resolution": SIZE,
    "--quality": "--crf N (0 is best, 51 worst)",
    "--bitrate": "--crf N, which asks for a quality and not for a size",
    "--vcodec": "--codec",
    "--format": "the name of the output: out.mp4, out.mkv, out.mov, or a folder for images",
    "--start": PART,
    "--end": PART,
    "--ss": PART,
    "--duration": PART,
    "--verbose": "nothing: all is told, and --quiet tells less",
    "-v": "nothing: all is told, and --quiet tells less",
    "--version": "limpid --version",
}
"""Options of other tools, by what they are called here."""
_NO_VALUES = frozenset({"yes", "no", "true", "false", "on", "off"})

READS_FILES = frozenset({"limpid upscale", "limpid probe", "limpid compare", "limpid degrade"})
"""Commands whose words without a dash are names of files."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def no_command(word: str, commands: Iterable[str]) -> str:
    """The sentence for a first word that is no command: often it is the film itself."""
    known = list(commands)
    if word.lower() in ("-v", "version", "--v"):
        return "to see the version: limpid --version"
    if word.startswith("-") and not exists(word):
        return f"{quoted(word)} stands before a command; write limpid COMMAND {shown(word)} (see limpid --help)"
    if exists(word) or _ADDRESS.match(word):
        return f"{shown(word)} is no command; to enlarge it: limpid upscale {_typed(word)}"
    near = meant(word, known) or f"; the commands are {', '.join(known)}"
    return f"{quoted(word)} is not a command{near} (see limpid --help)"


def refuse_mistyped(prog: str, words: Sequence[str], flags: Sequence[str], switches: Sequence[str] = ()) -> None:
    """Refuses words that no command of Limpid takes, before argparse does with less to say. Raises SettingsError.

    Args:
        prog: the command, as its help is asked for.
        words: what was typed after it; what follows ``--`` is a name.
        flags: the options of the command.
        switches: those of them that take no value.
    """
    typed = words[: words.index("--")] if "--" in words else words
    for before, word in zip(["", *typed], typed, strict=False):
        sentence = _mistyped_option(word, flags)
        if before in switches and word.lower() in _NO_VALUES and not exists(word):
            sentence = f"{before} takes no value; leave {quoted(word)} out"
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
    if not name.startswith("-") or name in flags or isfile(word):
        return ""
    if name in OTHER_TOOLS:
        return f"there is no option {name}; here it is {OTHER_TOOLS[name]}"
    if not name.startswith("--"):
        return ""
    near = meant(name, flags)
    return f"there is no option {quoted(name)}{near}" if near else ""


def in_our_words(message: str, choices: Mapping[str, Sequence[str]]) -> str:
    """What argparse says, as a person would: what is missing or too much, and what there is to choose.

    Args:
        message: argparse's own.
        choices: name of a word that the command takes -> the values that it can have.
    """
    if found := re.fullmatch(r"the following arguments are required: (.+)", message):
        missing = found[1].split(", ")
        known = next((f": one of {', '.join(choices[name])}" for name in missing if choices.get(name)), "")
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing{known}"
    if found := re.fullmatch(r"unrecognized arguments: (.+)", message, re.DOTALL):
        return _too_much(found[1].split()[0])
    if found := re.fullmatch(r"argument (\S+): expected (?:one|at least one) argument", message):
        return f"{found[1]} needs a value"
    if found := re.fullmatch(r"argument (\S+): invalid (int|float) value: (.+)", message, re.DOTALL):
        return f"argument {found[1]}: {found[3]} is not a {'whole ' if found[2] == 'int' else ''}number"
    return message


def _too_much(word: str) -> str:
    if word.startswith("-") and "." in word[1:]:
        return f"there is no option {quoted(word)}; for a file of that name write ./{shown(word)}"
    return f"there is no option {quoted(word)}" if word.startswith("-") else f"{quoted(word)} is one word too many"


def _typed(word: str) -> str:
    return f"./{shown(word)}" if word.startswith("-") else shown(word)
