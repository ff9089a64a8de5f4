"""``limpid bench``: runs methods over a data set, writes the tables, and the rows of ablation tables."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from limpid.cli.bench_guidance import guidance, guidance_parser
from limpid.cli.bench_paper import paper, paper_parser
from limpid.cli.bench_run import run_parser, run_rows, run_settings
from limpid.cli.parser import Parser, parse
from limpid.cli.words import shown
from limpid.types import SettingsError

USAGE = """limpid bench run --dataset NAME --root DIR --methods LIST --out RUN [options]
       limpid bench ablation --dataset NAME --root DIR --out RUN [--methods LIST] [options]
       limpid bench paper [NAME [TABLE]] [--dataset NAME --root DIR --out RUN] [options]
       limpid bench guidance --model DIR --captions FILE --out RUN [--reference DIR] [options]
       limpid bench report RUN... [--out DIR]
       limpid bench datasets [--dataset NAME --root DIR] [--json]"""
DESCRIPTION = """Measurements that can be repeated and compared.

  run        degrade the clips if need be, upscale them, measure; goes on where it stopped
  ablation   the same for the rows of the methods' ablation tables
  paper      a paper's tables and figures: what they take, what is here, our numbers beside theirs
  guidance   SAG, PAG and DSSAG on a text-to-image model, by IS and FID
  report     a page, Markdown and CSV of one or more runs, beside the published numbers
  datasets   the benchmarks, where to get them, and whether one on disk is complete

limpid bench ACTION --help has the options of each."""


def make_parser() -> Parser:
    parser = Parser("limpid bench", usage=USAGE, description=DESCRIPTION)
    parser.add_argument("action", metavar="ACTION", choices=tuple(ACTIONS), help=argparse.SUPPRESS)
    return parser


def command(arguments: list[str]) -> int:
    """Run one action; 0, or 1 when rows of a run failed or a data set is not complete. Raises LimpidError."""
    if arguments and arguments[0] in ACTIONS:
        return ACTIONS[arguments[0]](arguments[1:])
    parse(make_parser(), arguments)
    raise SettingsError(f"options come after the action: limpid bench {next(iter(ACTIONS))} ... (see --help)")


# ------------------------------------------------------------------------------------------ run and ablation


def _run_action(arguments: list[str]) -> int:
    options = parse(_run_parser(), arguments)
    from limpid.bench.ablation import parse_methods

    if options.methods is None:
        raise SettingsError("--methods is missing; for instance --methods bicubic,lanczos,small")
    return run_rows(options, parse_methods(options.methods, run_settings(options)), {})


def ablation(arguments: list[str]) -> int:
    options = parse(_ablation_parser(), arguments)
    from limpid.bench.ablation import ablation_variants

    names = None if options.methods is None else [name.strip() for name in options.methods.split(",")]
    variants, missing = ablation_variants(names, run_settings(options))
    return run_rows(options, variants, missing)


def _run_parser() -> Parser:
    return _rows_parser("run", "Upscale and measure every clip of a data set.")


def _ablation_parser() -> Parser:
    return _rows_parser("ablation", "Run the rows of the methods' ablation tables.")


def _rows_parser(action: str, description: str) -> Parser:
    usage = USAGE.splitlines()[action == "ablation"].removeprefix("usage: ").strip()
    parser = run_parser(action, usage=usage, description=description)
    parser.add_argument(
        "--methods", metavar="LIST", help="bicubic, lanczos and methods; tiny:steps=1+seed=3 changes settings"
    )
    return parser


# ------------------------------------------------------------------------------------------ report, data sets


def _report_parser() -> Parser:
    parser = Parser(
        "limpid bench report", usage="limpid bench report RUN... [--out DIR]", description="Write the tables."
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders that limpid bench run made")
    parser.add_argument("--out", metavar="DIR", help="where the files go (default: the first run)")
    return parser


def report(arguments: list[str]) -> int:
    options = parse(_report_parser(), arguments)
    from limpid.bench.report import write_report

    out = None if options.out is None else Path(options.out)
    for path in write_report([Path(run) for run in options.runs], out):
        print(shown(path))
    return 0


def _datasets_parser() -> Parser:
    parser = Parser(
        "limpid bench datasets", usage=USAGE.splitlines()[-1].strip(), description="List or check data sets."
    )
    parser.add_argument("--dataset", metavar="NAME", help="the one to check")
    parser.add_argument("--root", metavar="DIR", help="where it lies")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def datasets(arguments: list[str]) -> int:
    options = parse(_datasets_parser(), arguments)
    if (options.dataset is None) != (options.root is None):
        raise SettingsError("--dataset and --root go together: which set to check, and where it lies")
    return _list_datasets(options.json) if options.dataset is None else _check(options)


def _list_datasets(as_json: bool) -> int:
    from dataclasses import asdict

    from limpid.bench.datasets import DATASETS, NEVER_RELEASED

    if as_json:
        print(json.dumps({name: asdict(dataset) for name, dataset in DATASETS.items()}, indent=2))
        return 0
    for name, d in DATASETS.items():
        size = f", {d.size[0]}x{d.size[1]}" if d.size else ""
        count = f"{d.clips} clips" if d.clips else "any number of clips"
        print(f"{name}: {d.title}, {count}{size}\n  from     {d.where}\n  licence  {d.licence}")
        print(f"  note     {d.note}\n" if d.note else "")
    print("\n".join(f"{name}: {reason}" for name, reason in NEVER_RELEASED.items()))
    return 0


def _check(options: argparse.Namespace) -> int:
    from limpid.bench.datasets import check_dataset, find_clips, find_dataset

    dataset, root = find_dataset(options.dataset), Path(options.root)
    clips, problems = find_clips(dataset, root), check_dataset(dataset, root)
    if options.json:
        print(json.dumps({"clips": [clip.name for clip in clips], "problems": problems}, indent=2))
    else:
        print("\n".join([f"{len(clips)} clips", *(f"! {problem}" for problem in problems)]))
    return int(bool(problems))


ACTIONS: dict[str, Callable[[list[str]], int]] = {
    "run": _run_action,
    "ablation": ablation,
    "paper": paper,
    "guidance": guidance,
    "report": report,
    "datasets": datasets,
}

PARSERS: dict[str, Callable[[], Parser]] = {
    "run": _run_parser,
    "ablation": _ablation_parser,
    "paper": paper_parser,
    "guidance": guidance_parser,
    "report": _report_parser,
    "datasets": _datasets_parser,
}
