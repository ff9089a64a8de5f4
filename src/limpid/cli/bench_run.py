"""What ``limpid bench run``, ``ablation`` and ``paper`` share: the options of a run, and running it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpid.cli.parser import Parser
from limpid.cli.words import clock_time, shown
from limpid.machine_options import PLACES
from limpid.types import SettingsError

if TYPE_CHECKING:
    from limpid.bench.jobs import Variant
    from limpid.bench.rows import Row


def run_parser(action: str, *, usage: str, description: str, required: bool = True) -> Parser:
    """A parser with the options of a run; ``required``: whether data set, place and folder must be named."""
    parser = Parser(f"limpid bench {action}", usage=usage, description=description)
    what = parser.add_argument_group("what is measured")
    what.add_argument("--dataset", metavar="NAME", required=required, help="see limpid bench datasets; or: folder")
    what.add_argument("--root", metavar="DIR", required=required, help="where it lies")
    what.add_argument("--out", metavar="RUN", required=required, help="folder of the run; the same one goes on with it")
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
    how.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="a setting of every method; may be repeated"
    )
    how.add_argument("--device", metavar="NAME", help="as for limpid upscale")
    how.add_argument("--workers", metavar="auto|N|NAMES", help="as for limpid upscale, for the methods that it has")
    how.add_argument("--cluster", metavar="ADDRESS", help="as for limpid upscale")
    how.add_argument("--mixed", action="store_true", default=None, help="as for limpid upscale")
    how.add_argument("--wait-s", metavar="N", type=int, help="as for limpid upscale")
    how.add_argument("--incomplete", action="store_true", help="run also when clips or frames of the set are missing")
    how.add_argument("--retry-failed", action="store_true", help="do rows again that failed in an earlier start")
    how.add_argument("--discard", action="store_true", help="keep the numbers only, not the upscaled clips")
    how.add_argument("--json", action="store_true", help="one JSON object per finished row on stdout")
    return parser


def run_settings(options: argparse.Namespace) -> dict[str, Any]:
    from limpid.bench.ablation import parse_change

    given = {"seed": options.seed or None, "steps": options.steps, "device": options.device}
    changed = dict(parse_change(text) for text in options.set)
    return {**{name: value for name, value in given.items() if value is not None}, **changed}


def run_places(options: argparse.Namespace) -> dict[str, Any]:
    """Which machines compute; the numbers of a run are the same wherever that is. Raises a `LimpidError`."""
    places = {name: value for name in PLACES if (value := getattr(options, name)) is not None}
    if places:
        from limpid.cluster.reach import check_cluster
        from limpid.settings import Settings

        settings = Settings().replace(**places)
        settings.check_places()
        check_cluster(settings.cluster)
    return places


def run_rows(
    options: argparse.Namespace,
    variants: tuple[Variant, ...],
    not_run: dict[str, str],
    *,
    metrics: tuple[str, ...] | None = None,
    paper: tuple[str, str] | None = None,
) -> int:
    """Do the rows that are not done yet; 1 when one failed. ``metrics``: in place of those that the user names."""
    from limpid.bench.datasets import find_dataset
    from limpid.bench.run import Bench, choose_metrics, run_bench

    if options.frames is not None and options.frames < 1:
        raise SettingsError(f"--frames {options.frames} is too few; 1 is the least, 2 for what is measured over time")
    bench = Bench(
        dataset=find_dataset(options.dataset),
        root=Path(options.root),
        out=Path(options.out),
        variants=variants,
        metrics=choose_metrics(options.metrics) if metrics is None else metrics,
        seed=options.seed,
        pipeline=options.pipeline,
        frames=options.frames,
        settings=run_settings(options),
        places=run_places(options),
        not_run=not_run,
        incomplete=options.incomplete,
        keep=not options.discard,
        retry_failed=options.retry_failed,
        paper=paper,
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
