"""``limpid watch``: every new video in a folder is made larger, one after the other, without a server."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from os.path import isdir
from pathlib import Path

from limpid.cli.inputs import Job, output_of
from limpid.cli.main import EXIT_DEFECT
from limpid.cli.options import add_preset, add_settings, chosen_settings
from limpid.cli.parser import EXIT_CODES, Parser, parse
from limpid.cli.progress import Reporter, make_reporter
from limpid.cli.upscale import run_one
from limpid.cli.words import shown
from limpid.run.places import exists, is_unfinished
from limpid.serve.growing import GrowingFiles, set_apart
from limpid.settings import Settings
from limpid.types import InputError, SettingsError

USAGE = "limpid watch IN OUT [options of limpid upscale]"
DESCRIPTION = """Make every video larger that appears in the folder IN; results go to the folder OUT.

A video is taken when it has stopped growing, and left where it is. One that cannot be used is moved to
IN/failed, with a text file that says why. Ctrl-C ends it; the same command goes on.
"""
_LOOK_S = 1.0
_NOT_USABLE = (InputError.exit_code, EXIT_DEFECT)
"""Exit codes that are about one video; with others the next one would fail as well."""


def make_parser() -> Parser:
    parser = Parser("limpid watch", usage=USAGE, description=DESCRIPTION, epilog=EXIT_CODES)
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--settle", type=float, default=10.0, metavar="S", help="seconds without growth (default: 10)")
    parser.add_argument("--once", action="store_true", help="end when all that is there is done")
    parser.add_argument("--json", action="store_true", help="events as JSON lines on stdout")
    parser.add_argument("-q", "--quiet", action="store_true", help="on stderr only warnings and errors")
    parser.add_argument("--traceback", action="store_true", help="show where an error comes from")
    add_preset(parser)
    add_settings(parser, shown=False)
    return parser


def command(arguments: list[str]) -> int:
    """Watch until Ctrl-C, or with ``--once`` until everything is done; returns an exit code."""
    options = parse(make_parser(), arguments)
    source, target = _folders(options)
    settings = Settings().replace(**chosen_settings(options))
    vars(options).update(skip_existing=False, overwrite=False, work_dir=None, keep_work=False, dry_run=False)
    files = GrowingFiles(source, options.settle)
    with contextlib.closing(make_reporter(as_json=options.json, quiet=options.quiet)) as reporter:
        while True:
            code = _take_all(files, target, settings, options, reporter)
            if code or (options.once and not files.waiting):
                return code
            time.sleep(min(_LOOK_S, max(options.settle, 0.05)))


def _folders(options: argparse.Namespace) -> tuple[Path, Path]:
    if len(options.folders) != 2:
        raise SettingsError("name the folder to watch, and the one for results (see limpid watch --help)")
    if not 0 <= options.settle <= 86400:
        raise SettingsError(f"--settle is {options.settle:g}; it must be 0 or more and at most 86400")
    source, target = (Path(name).expanduser().absolute() for name in options.folders)
    if not isdir(source):
        raise InputError(f"{shown(source)}: there is no such folder")
    if target.resolve().is_relative_to(source.resolve()):
        raise SettingsError(f"{shown(target)} lies in {shown(source)}; its results would be taken as new videos")
    target.mkdir(parents=True, exist_ok=True)
    return source, target


def _take_all(
    files: GrowingFiles, target: Path, settings: Settings, options: argparse.Namespace, reporter: Reporter
) -> int:
    """Work off what has settled; 0, or the code of what ends the watching."""
    for path, _ in files.settled():
        job = Job(input=path, output=target, into_folder=True, alone=False)
        output = output_of(job, settings)
        if exists(output) and not is_unfinished(output):
            continue
        outcome = run_one(job, settings, options, reporter)
        if outcome.code in _NOT_USABLE:
            apart = set_apart(path, outcome.message)
            print(f"{shown(path)} was moved to {shown(apart)}", file=sys.stderr)
        elif outcome.code:
            return outcome.code
    return 0
