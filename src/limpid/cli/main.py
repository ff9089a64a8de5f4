"""The dispatcher: finds the command, runs it, and turns every error into one sentence and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from limpid import __version__
from limpid.bounded import cut, one_line
from limpid.cli.terminal import escaping
from limpid.cli.words import shown
from limpid.durable.interrupt import signals_as_interrupts
from limpid.types import LimpidError, OutputError, ResourceError, SettingsError

EXIT_DEFECT = 70
"""EX_SOFTWARE of sysexits.h: an exception that is nobody's fault but Limpid's."""
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
LONGEST_SENTENCE = 2000
"""Characters of an error; what it quotes may come from a file."""
_REFUSALS = (
    *("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "ENAMETOOLONG", "EMFILE", "ENFILE", "EFBIG", "ENOENT"),
    *("ENOTDIR", "EISDIR", "ELOOP", "ESTALE", "ENXIO", "ENODEV", "EBUSY", "ETXTBSY", "ENOTEMPTY", "EREMOTEIO"),
)
SYSTEM_ERRORS = frozenset(getattr(errno, name) for name in _REFUSALS if hasattr(errno, name))
"""What the operating system can refuse at any moment: no defect, wherever in Limpid it comes up."""

COMMANDS = {
    "upscale": "make videos or image folders larger and better",
    "probe": "what is known of a file before anything is decoded",
    "degrade": "make low-quality clips from good ones, to test and train restoration",
    "compare": "one page that shows results side by side, to be judged by eye",
    "presets": "settings under a name, by content and your own: list, show, save, remove",
    "methods": "the methods that can be chosen, and whether their weights are here",
    "train": "train networks by a recipe: every stage of the methods, and the shipped model",
    "bench": "measure methods on data sets, and show them beside the published numbers",
    "weights": "weights of the large methods: list, fetch, convert, verify",
    "serve": "a page with a queue in the browser, and an HTTP interface",
    "queue": "the queue of a running limpid serve: add, list, cancel",
    "watch": "make every video larger that appears in a folder",
    "cluster": "the nodes of a Ray cluster, and whether Limpid works there: status",
    "doctor": "check this machine: versions, codecs, speed, weights, memory",
    "completion": "a script for your shell that completes what is typed",
    "man": "the manual page of all commands",
}

SUMMARY = "restores and upscales real low-quality video with diffusion models"
EXAMPLES = """  limpid upscale film.mp4                        four times as large, film_x4.mp4 beside it
  limpid upscale film.mp4 out.mkv --height 1080  another name and size
  limpid upscale film.mp4 --preview 00:10-00:12  try two seconds first"""
HELP = """usage: limpid COMMAND ...

{summary}.

commands:
{commands}

  limpid COMMAND --help     what a command can do
  limpid --version          the version

{examples}

{exit_codes}
"""


def run() -> NoReturn:
    """The ``limpid`` command. File names that are not valid UTF-8 are printed with escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    with signals_as_interrupts():
        code = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = EXIT_PIPE
    except OSError as error:  # the disk that stdout goes to is full
        code = complain(*explain(error))
    if code == EXIT_PIPE:  # the interpreter would complain when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; nothing but a defect of this function itself is raised."""
    with escaping():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        return _dispatch(list(arguments))
    except SystemExit as stop:  # argparse after --help
        return stop.code if isinstance(stop.code, int) else 0
    except BrokenPipeError:
        return EXIT_PIPE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  users get a sentence, whatever happens
        return complain(*explain(error), trace=error if wants_traceback(arguments) else None)


def explain(error: BaseException) -> tuple[str, int]:
    """An error as a sentence for a person and an exit code."""
    if isinstance(error, LimpidError):
        return cut(str(error), LONGEST_SENTENCE), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "stopped; the same command goes on where it was", EXIT_INTERRUPTED
    if isinstance(error, OSError) and error.errno in SYSTEM_ERRORS:
        about = f"{shown(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        return f"{about}{error.strerror}; finished segments are kept", OutputError.exit_code
    if isinstance(error, MemoryError):
        return "there is not enough memory; close other programs or use smaller pieces", ResourceError.exit_code
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] != "limpid":
        how = f"{sys.executable} -m pip install limpid-video"
        return f"{error.name} is not installed here: {how}", SettingsError.exit_code
    text = " ".join(str(error)[:2000].split())[:300]
    hint = "LIMPID_DEBUG=1 or --traceback shows where"
    return f"this is a defect in Limpid: {type(error).__name__}: {text} ({hint})", EXIT_DEFECT


def complain(sentence: str, code: int, *, trace: BaseException | None = None) -> int:
    """Print one sentence on stderr, after the traceback of ``trace`` when one is given; returns `code`."""
    with contextlib.suppress(OSError):  # what stderr leads to may be the very disk that is full
        if trace is not None:
            traceback.print_exception(trace)
        print(f"limpid: {one_line(sentence)}", file=sys.stderr, flush=True)
    return code


def wants_traceback(arguments: Sequence[str]) -> bool:
    return "--traceback" in arguments or os.environ.get("LIMPID_DEBUG", "") not in ("", "0")


def _dispatch(arguments: list[str]) -> int:
    if len(arguments) == 2 and arguments[0] == "help" and arguments[1] in COMMANDS:
        arguments = [arguments[1], "--help"]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help(), end="")
        return 0 if arguments else SettingsError.exit_code
    if arguments[0] in ("-V", "--version"):
        print(f"limpid {__version__}")
        return 0
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        from limpid.cli.mistyped import no_command

        raise SettingsError(no_command(command, COMMANDS))
    module = import_module(f"limpid.cli.{command}")
    code: int = module.command(rest)
    return code


def _help() -> str:
    from limpid.cli.parser import EXIT_CODES, terminal_columns, wrapped

    commands = "\n".join(f"  {name:<10} {summary}" for name, summary in COMMANDS.items())
    summary = SUMMARY[0].upper() + SUMMARY[1:]
    text = HELP.format(summary=summary, commands=commands, examples=EXAMPLES, exit_codes=EXIT_CODES)
    return "".join(wrapped(line, terminal_columns()) for line in text.splitlines(keepends=True))
