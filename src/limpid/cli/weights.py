"""``limpid weights``: what can be had, fetching, checking and converting it, and random weights for tests."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limpid.checkpoints.folders import CARD, downloads, read_card, weights_root
from limpid.checkpoints.manifest import ENTRIES, Entry, find_entry, size_words
from limpid.cli.parser import Parser, parse
from limpid.cli.words import shown, size_text
from limpid.types import SettingsError, WeightsError

USAGE = """limpid weights list [--json]
       limpid weights fetch NAME [--to DIR]
       limpid weights convert NAME [SOURCE] [options]
       limpid weights verify [NAME or FOLDER]... [--json]
       limpid weights make-random NAME --out DIR [options]"""
DESCRIPTION = """Weights of the large methods. Nothing is downloaded unless fetch is called.

  list          what is known: licence, size, where from, and whether it is here
  fetch         download the makers' files; a download that stopped goes on
  convert       turn the makers' files into Limpid's folder; nothing in them is run
  verify        whether converted weights are whole and fit their networks
  make-random   random weights in the makers' format, for tests and measurements of speed

limpid weights ACTION --help has the options of each. Converted weights lie in
$LIMPID_WEIGHTS, or in limpid/weights in the user's cache folder."""
_LINE_INTERVAL_S = 5.0
BAR_INTERVAL_S = 0.2


def command(arguments: list[str]) -> int:
    """Run one action; returns 0, or 1 when ``verify`` finds something wrong. Raises WeightsError, SettingsError."""
    if arguments and arguments[0] in ACTIONS:
        return ACTIONS[arguments[0]](arguments[1:])
    parse(make_parser(), arguments)
    raise SettingsError(f"options come after the action: limpid weights {next(iter(ACTIONS))} ... (see --help)")


def make_parser() -> Parser:
    parser = Parser("limpid weights", usage=USAGE, description=DESCRIPTION)
    parser.add_argument("action", metavar="ACTION", choices=tuple(ACTIONS), help=argparse.SUPPRESS)
    return parser


def _parser(action: str, words: str, description: str) -> Parser:
    usage = f"limpid weights {action} {words}".rstrip()
    return Parser(f"limpid weights {action}", usage=usage, description=description)


# ---------------------------------------------------------------------------------------------- list


def _list_parser() -> Parser:
    parser = _parser("list", "[--json]", "Show the weights that Limpid can use, and which are here.")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def list_weights(arguments: list[str]) -> int:
    options = parse(_list_parser(), arguments)
    rows = {name: describe(entry) for name, entry in ENTRIES.items()}
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        print("\n\n".join(_paragraph(name, row) for name, row in rows.items()))
    return 0


def describe(entry: Entry) -> dict[str, Any]:
    """What is known of an entry, as JSON values; None for an unknown size, hash or address."""
    folder = weights_root() / entry.name
    here = (folder / CARD).is_file()
    names = ("name", "role", "url", "size", "sha256", "needed")
    return {
        "title": entry.title,
        "licence": entry.licence,
        "page": entry.page,
        "size": size_words(entry),
        "by_hand": entry.by_hand,
        "needs": list(entry.needs),
        "note": entry.note,
        "folder": str(folder) if here else None,
        "random": read_card(folder).random if here else None,
        "files": [{name: getattr(file, name) for name in names} for file in entry.files],
    }


def _paragraph(name: str, row: dict[str, Any]) -> str:
    state = "not here" if row["folder"] is None else f"in {shown(row['folder'])}"
    state += ", random numbers" if row["random"] else ""
    lines = [f"{name}: {row['title']}", f"  state    {state}", f"  size     {row['size']}"]
    lines += [f"  licence  {row['licence']}", f"  from     {row['page']}"]
    lines += [f"  by hand  {row['by_hand']}"] if row["by_hand"] else []
    lines += [f"  needs    {', '.join(row['needs'])}"] if row["needs"] else []
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------- fetch


def _fetch_parser() -> Parser:
    parser = _parser("fetch", "NAME [--to DIR]", "Download the makers' files. What is here already is kept.")
    parser.add_argument("name", metavar="NAME", help="see limpid weights list")
    parser.add_argument("--to", metavar="DIR", type=Path, help="where to (default: downloads/NAME beside the weights)")
    return parser


def _fetch(arguments: list[str]) -> int:
    options = parse(_fetch_parser(), arguments)
    entry = find_entry(options.name)

    from limpid.checkpoints import fetch as fetching

    folder = options.to or downloads(entry.name)
    print(f"licence: {entry.licence}", file=sys.stderr)
    fetching.fetch(entry, folder, DownloadLines())
    for name in entry.needs:
        print(f"limpid weights convert {entry.name} also needs: limpid weights fetch {name}", file=sys.stderr)
    print(shown(folder))
    return 0


class DownloadLines:
    """Lines on stderr: one that is overwritten on a terminal, else one every few seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.last, self.terminal = clock, -_LINE_INTERVAL_S, sys.stderr.isatty()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """``done`` of ``total`` bytes of a file are here."""
        interval = BAR_INTERVAL_S if self.terminal else _LINE_INTERVAL_S
        if done != total and self.clock() - self.last < interval:
            return
        self.last = self.clock()
        part = f" of {size_text(total)}, {done * 100 // max(total, 1)} %" if total is not None else ""
        line = f"  {name}: {size_text(done)}{part}"
        end = "\n" if done == total or not self.terminal else "\r"
        print(f"{line:<70}" if self.terminal else line, end=end, file=sys.stderr, flush=True)


# ---------------------------------------------------------------------------------------------- convert


def _convert_parser() -> Parser:
    parser = _parser(
        "convert",
        "NAME [SOURCE] [options]",
        "Turn the makers' files into a folder of safetensors. Nothing in them is run; a file that\n"
        "is damaged, or holds something else, is refused.",
    )
    parser.add_argument("name", metavar="NAME", help="see limpid weights list")
    parser.add_argument("source", nargs="?", type=Path, metavar="SOURCE", help="folder or file (default: downloads)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to (default: where methods look for it)")
    parser.add_argument("--base", metavar="DIR", type=Path, help="folder of the model it was made from, where needed")
    parser.add_argument("--dtype", choices=("float16", "float32"), help="store numbers so (default: as they are)")
    parser.add_argument("--temporal", action="store_true", help="sd-x4-upscaler: add temporal layers, as identity")
    parser.add_argument("--overwrite", action="store_true", help="replace converted weights that are there")
    return parser


def convert(arguments: list[str]) -> int:
    options = parse(_convert_parser(), arguments)
    entry = find_entry(options.name)

    from limpid.convert.convert import convert_weights as convert_weights

    out = convert_weights(
        entry.name,
        options.source or downloads(entry.name),
        options.out or weights_root() / entry.name,
        base=options.base,
        dtype=options.dtype,
        temporal=options.temporal,
        overwrite=options.overwrite,
        on_note=lambda text: print(f"note: {text}", file=sys.stderr),
    )
    print(shown(out))
    return 0


# ---------------------------------------------------------------------------------------------- verify


def _verify_parser() -> Parser:
    parser = _parser(
        "verify",
        "[NAME or FOLDER]... [--json]",
        "Read converted weights again: whether they are what convert wrote, and fit their networks.\n"
        "Returns 1 when something is wrong.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="or folders (default: all that are here)")
    parser.add_argument("--json", action="store_true", help="as one JSON object: folder and what is wrong")
    return parser


def _verify(arguments: list[str]) -> int:
    options = parse(_verify_parser(), arguments)

    from limpid.convert.verify import verify_weights as verify_folder

    folders = _folders(options.names)
    if not folders:
        raise WeightsError(f"there is nothing to verify: no converted weights in {shown(weights_root())}")
    found: dict[str, list[str]] = {}
    for folder in folders:
        problems = found[str(folder)] = verify_folder(folder)
        if not options.json:
            print(f"{shown(folder)}: {'; '.join(problems) if problems else 'whole'}", flush=True)
    if options.json:
        print(json.dumps(found, indent=2))
    return int(any(found.values()))


def _folders(names: list[str]) -> list[Path]:
    root = weights_root()
    if not names:
        return [root / name for name in ENTRIES if (root / name / CARD).is_file()]
    folders = [root / name if name in ENTRIES and not (Path(name) / CARD).is_file() else Path(name) for name in names]
    for folder in folders:
        if not (folder / CARD).is_file():
            raise WeightsError(f"{shown(folder)} has no converted weights (no {CARD})")
    return folders


# ---------------------------------------------------------------------------------------------- make-random


def _random_parser() -> Parser:
    parser = _parser(
        "make-random",
        "NAME --out DIR [options]",
        "Write random weights in the makers' format: for tests, and to measure speed and memory\n"
        "without their files. The result of upscaling with them is noise.",
    )
    parser.add_argument("name", metavar="NAME", help="see limpid weights list")
    parser.add_argument("--size", choices=("tiny", "full"), default="tiny", help="a toy, or the real sizes")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="a new folder")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="another seed, other weights (default: 0)")
    return parser


def make_random(arguments: list[str]) -> int:
    options = parse(_random_parser(), arguments)
    entry = find_entry(options.name)

    from limpid.convert.random_weights import make_random_weights as make

    print(shown(make(entry.name, options.size, options.out, seed=options.seed)))
    return 0


ACTIONS: dict[str, Callable[[list[str]], int]] = {
    "list": list_weights,
    "fetch": _fetch,
    "convert": convert,
    "verify": _verify,
    "make-random": make_random,
}

PARSERS: dict[str, Callable[[], Parser]] = {
    "list": _list_parser,
    "fetch": _fetch_parser,
    "convert": _convert_parser,
    "verify": _verify_parser,
    "make-random": _random_parser,
}
