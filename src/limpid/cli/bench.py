"""``limpid bench``: runs methods over a data set, writes the tables, and the rows of ablation tables."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpid.cli.parser import Parser, parse
from limpid.cli.words import clock_time, shown
from limpid.types import SettingsError

if TYPE_CHECKING:
    from limpid.bench.jobs import Variant
    from limpid.bench.rows import Row

USAGE = """limpid bench run --dataset NAME --root DIR --methods LIST --out RUN [options]
       limpid bench ablation --dataset NAME --root DIR --out RUN [--methods LIST] [options]
       limpid bench report RUN... [--out DIR]
       limpid bench datasets [--dataset NAME --root DIR] [--json]"""
DESCRIPTION = """Measurements that can be repeated and compared.

  run        degrade the clips if need be, upscale them, measure; goes on where it stopped
  ablation   the same for the rows of the methods' ablation tables
  report     a page, Markdown and CSV of one or more runs, beside the published numbers
  datasets   the benchmarks, where to get them, and whether one on disk is complete

limpid bench ACTION --help has the options of each."""


def command(arguments: list[str]) -> int:
    """Run one action; 0, or 1 when rows of a run failed or a data set is not complete. Raises LimpidError."""
    if arguments and arguments[0] in ACTIONS:
        return ACTIONS[arguments[0]](arguments[1:])
    parser = Parser("limpid bench", usage=USAGE, description=DESCRIPTION)
    parser.add_argument("action", choices=tuple(ACTIONS), help=argparse.SUPPRESS)
    parse(parser, arguments)
    raise SettingsError(f"options come after the action: limpid bench {next(iter(ACTIONS))} ... (see --help)")


# ------------------------------------------------------------------------------------------ run and ablation


def _run_action(arguments: list[str]) -> int:
    options = parse(_run_parser("run", "Upscale and measure every clip of a data set."), arguments)
    from limpid.bench.ablation import parse_methods

    if options.methods is None:
        raise SettingsError("--methods is missing; for instance --methods bicubic,lanczos,tiny")
    return _run(options, parse_methods(options.methods, _settings(options)), {})


def ablation(arguments: list[str]) -> int:
    options = parse(_run_parser("ablation", "Run the rows of the methods' ablation tables."), arguments)
    from limpid.bench.ablation import ablation_variants

    names = None if options.methods is None else [name.strip() for name in options.methods.split(",")]
    variants, missing = ablation_variants(names, _settings(options))
    return _run(options, variants, missing)


def _run_parser(action: str, description: str) -> Parser:
    parser = Parser(
        f"limpid bench {action}", usage=USAGE.splitlines()[action == "ablation"].strip(), description=description
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument("--dataset", metavar="NAME", required=True, help="limpid bench datasets lists them; or: folder")
    what.add_argument("--root", metavar="DIR", required=True, help="where it lies")
    what.add_argument("--out", metavar="RUN", required=True, help="folder of the run; the same one goes on with it")
    what.add_argument(
        "--methods", metavar="LIST", help="bicubic, lanczos and methods; tiny:steps=1+seed=3 changes settings"
    )
    what.add_argument("--metrics", metavar="LIST", help="by name, or: all (default: some that are fast)")
    what.add_argument("--frames", metavar="N", type=int, help="the first N frames of each clip (default: all)")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--pipeline",
        metavar="NAME",
        help="given (low-quality frames on disk) or as for limpid degrade (default: realbasicvsr)",
    )
    how.add_argument("--seed", metavar="N", type=int, default=0, help="of the degradation and the methods (default: 0)")
    how.add_argument("--steps", metavar="N", type=int, help="sampling steps of every method")
    how.add_argument("--device", metavar="NAME", help="as for limpid upscale")
    how.add_argument("--incomplete", action="store_true", help="run also when clips or frames of the set are missing")
    how.add_argument("--retry-failed", action="store_true", help="do rows again that failed in an earlier start")
    how.add_argument("--discard", action="store_true", help="keep the numbers only, not the upscaled clips")
    how.add_argument("--json", action="store_true", help="one JSON object per finished row on stdout")
    return parser


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    given = {"seed": options.seed or None, "steps": options.steps, "device": options.device}
    return {name: value for name, value in given.items() if value is not None}


def _run(options: argparse.Namespace, variants: tuple[Variant, ...], not_run: dict[str, str]) -> int:
    from limpid.bench.datasets import find_dataset
    from limpid.bench.run import Bench, choose_metrics, run_bench

    if options.frames is not None and options.frames < 1:
        raise SettingsError(f"--frames {options.frames} is too few; 1 is the least, 2 for what is measured over time")
    bench = Bench(
        dataset=find_dataset(options.dataset),
        root=Path(options.root),
        out=Path(options.out),
        variants=variants,
        metrics=choose_metrics(options.metrics),
        seed=options.seed,
        pipeline=options.pipeline,
        frames=options.frames,
        settings=_settings(options),
        not_run=not_run,
        incomplete=options.incomplete,
        keep=not options.discard,
        retry_failed=options.retry_failed,
    )
    for label, reason in not_run.items():
        print(f"{shown(label)}: n/a: {reason}", file=sys.stderr)
    rows = run_bench(bench, _tell_json if options.json else _tell)
    if not options.json:
        print(shown(options.out))
    return int(any(row.error for row in rows))


def _tell(event: dict[str, Any]) -> None:
    if event["event"] == "begin":
        resumed = f", {event['resumed']} were done before" if event["resumed"] else ""
        print("\n".join([*event["problems"], f"{event['rows']} rows to do{resumed}"]), file=sys.stderr, flush=True)
        return
    row: Row = event["row"]
    said = f"failed: {row.error}" if row.error else _row_words(row)
    left = f", {clock_time(event['eta_s'])} left" if event["done"] < event["total"] else ""
    print(
        f"[{event['done']}/{event['total']}{left}] {shown(row.clip)}, {row.method}: {said}", file=sys.stderr, flush=True
    )


def _row_words(row: Row) -> str:
    first = next((f"{name} {v.value:.4g}, " for name, v in row.values.items() if v.value is not None), "")
    return f"{first}{row.frames} frames, {row.seconds_per_frame:.3g} s each"


def _tell_json(event: dict[str, Any]) -> None:
    from limpid.bench.rows import plain_row

    row = event.get("row")
    print(json.dumps(event if row is None else {**event, "row": plain_row(row)}), flush=True)


# ------------------------------------------------------------------------------------------ report, data sets


def report(arguments: list[str]) -> int:
    parser = Parser(
        "limpid bench report", usage="limpid bench report RUN... [--out DIR]", description="Write the tables."
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders that limpid bench run made")
    parser.add_argument("--out", metavar="DIR", help="where the files go (default: the first run)")
    options = parse(parser, arguments)
    from limpid.bench.report import write_report

    out = None if options.out is None else Path(options.out)
    for path in write_report([Path(run) for run in options.runs], out):
        print(shown(path))
    return 0


def datasets(arguments: list[str]) -> int:
    parser = Parser(
        "limpid bench datasets", usage=USAGE.splitlines()[3].strip(), description="List or check data sets."
    )
    parser.add_argument("--dataset", metavar="NAME", help="the one to check")
    parser.add_argument("--root", metavar="DIR", help="where it lies")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    options = parse(parser, arguments)
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
    "report": report,
    "datasets": datasets,
}
