"""``limpid bench paper``: the tables and figures of the four papers, what they take, and our numbers beside theirs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from limpid.cli.bench_run import run_parser, run_rows, run_settings
from limpid.cli.parser import Parser, parse
from limpid.cli.words import shown
from limpid.types import SettingsError

if TYPE_CHECKING:
    from limpid.bench.datasets import Dataset
    from limpid.bench.papers.beside import Beside
    from limpid.bench.papers.kinds import Paper, PaperPart
    from limpid.bench.papers.listing import Looked

USAGE = "limpid bench paper [NAME [TABLE]] [--dataset NAME --root DIR --out RUN] [options]"
DESCRIPTION = """The tables and figures of the four papers.

Without TABLE: the list. With TABLE (2, or fig7): what it takes, what of that is here, and the published numbers.
With --out too: what can be run is run, and goes on where it stopped; the report has our numbers beside theirs.
Any clips can stand in for a data set: --dataset folder --root DIR."""


def paper(arguments: list[str]) -> int:
    """Show or run a table; 1 when a row failed. Raises LimpidError."""
    options = parse(paper_parser(), arguments)
    if options.markdown:
        return _print_page(options)
    from limpid.bench.papers import PAPERS, find_paper, find_part
    from limpid.bench.papers.listing import paper_lines

    chosen = list(PAPERS.values()) if options.name is None else [find_paper(options.name)]
    if options.table is None:
        _refuse_run(options)
        print("\n".join(line for each in chosen for line in paper_lines(each)))
        return 0
    (each,) = chosen
    return _table(options, each, find_part(each, options.table))


def paper_parser() -> Parser:
    parser = run_parser("paper", usage=USAGE, description=DESCRIPTION, required=False)
    parser.add_argument("name", nargs="?", metavar="NAME", help="upscale-a-video, mgld-vsr, diffvsr or dc-vsr")
    parser.add_argument("table", nargs="?", metavar="TABLE", help="its number, or fig and the figure's number")
    rows = parser.add_argument_group("rows")
    rows.add_argument("--row", metavar="LABEL", action="append", help="only this row; may be repeated")
    rows.add_argument("--weights", metavar="DIR", help="of the paper's method (default: the installed ones)")
    rows.add_argument("--trained", metavar="DIR", default="trained", help="runs of recipes, DIR/NAME/final (trained)")
    rows.add_argument("--markdown", action="store_true", help="print docs/reproduce.md instead, made of the same list")
    return parser


def _refuse_run(options: argparse.Namespace) -> None:
    for name in ("dataset", "root", "out", "row", "weights"):
        if getattr(options, name) is not None:
            raise SettingsError(f"--{name} needs a table: limpid bench paper {options.name or 'dc-vsr'} 2 --{name} ...")


def _table(options: argparse.Namespace, paper: Paper, part: PaperPart) -> int:
    from limpid.bench.papers.listing import part_lines

    looked = _look(options, paper, part)
    if options.out is None:
        print("\n".join(part_lines(paper, part, looked)))
        if part.rows:
            _print_beside(_planned(paper, part, looked))
        else:
            _print_printed(paper, part)
        return 0
    return _run_table(options, paper, part, looked)


def _look(options: argparse.Namespace, paper: Paper, part: PaperPart) -> Looked:
    from limpid.bench.papers.listing import Looked
    from limpid.bench.papers.variants import Here, paper_variants

    unknown = [label for label in options.row or () if label not in [row.label for row in part.rows]]
    if unknown:
        names = "; ".join(row.label for row in part.rows) or "none"
        raise SettingsError(f"there is no row {unknown[0]!r} in {part.heading}; its rows are: {names}")
    weights = None if options.weights is None else Path(options.weights)
    here = Here(method=paper.name, weights=weights, trained=Path(options.trained), settings=run_settings(options))
    variants, not_run = paper_variants(part, here, options.row)
    root = None if options.root is None else Path(options.root)
    return Looked(
        variants=variants,
        not_run=not_run,
        dataset=_dataset(options, part),
        root=root,
        method=paper.name,
        weights=weights,
    )


def _dataset(options: argparse.Namespace, part: PaperPart) -> Dataset | None:
    """What is run or looked for; a table with one set needs no name of it."""
    from limpid.bench.datasets import find_dataset

    if options.dataset is not None:
        return find_dataset(options.dataset)
    return find_dataset(part.datasets[0]) if len(part.datasets) == 1 else None


# ------------------------------------------------------------------------------------------ running it


def _run_table(options: argparse.Namespace, paper: Paper, part: PaperPart, looked: Looked) -> int:
    from limpid.bench.report import write_report
    from limpid.bench.sections import make_section

    if not part.rows:
        raise SettingsError(f"{part.heading} is not a table of runs: {part.command or part.note or part.missing}")
    if looked.dataset is None or options.root is None:
        sets = " or ".join((*part.datasets, "folder"))
        raise SettingsError(f"--out needs --root DIR and --dataset, one of {sets}: where the clips are")
    if not looked.variants:
        raise SettingsError(f"no row of {part.heading} can be run here: {next(iter(looked.not_run.values()))}")
    options.dataset = looked.dataset.name
    code = run_rows(
        options,
        tuple(looked.variants),
        dict(looked.not_run),
        metrics=_metrics(options, paper, part, looked.dataset),
        paper=(paper.name, part.name),
    )
    run = Path(options.out)
    files = write_report([run])
    found = make_section(run).beside
    if found is not None and not options.json:
        _print_beside(found)
        print("\n".join(shown(path) for path in files))
    return code


def _metrics(options: argparse.Namespace, paper: Paper, part: PaperPart, dataset: Dataset) -> tuple[str, ...] | None:
    """The table's columns, and what is measured of every run; None: what the user names."""
    if options.metrics is not None:
        return None
    from limpid.bench.papers.beside import metrics_of
    from limpid.bench.run import DEFAULT_METRICS, has_truth

    truth = has_truth(dataset, Path(options.root), options.pipeline)
    return tuple(dict.fromkeys([*metrics_of(paper, part, dataset.name, has_truth=truth), *DEFAULT_METRICS]))


# ------------------------------------------------------------------------------------------ showing it


def _planned(paper: Paper, part: PaperPart, looked: Looked) -> Beside:
    """The table before anything was run."""
    from limpid.bench.papers.beside import beside, metrics_of
    from limpid.bench.tables import make_table

    dataset = looked.dataset.name if looked.dataset else part.datasets[0]
    metrics = metrics_of(paper, part, dataset, has_truth=looked.dataset is None or looked.dataset.has_truth)
    labels = [variant.label for variant in looked.variants]
    return beside(paper, part, dataset, make_table([], labels, metrics), looked.not_run)


def _print_printed(paper: Paper, part: PaperPart) -> None:
    """What the paper prints in a table that is no table of runs."""
    from limpid.bench.published import published
    from limpid.bench.tables import published_grids

    numbers = [n for n in published() if (n.paper, n.table) == (paper.title, part.heading)]
    for title, grid in published_grids(numbers):
        print(f"\nprinted: {shown(title)}\n\n" + "\n".join(aligned(grid)))


def _print_beside(found: Beside) -> None:
    print(f"\n{shown(found.title)}\n\n" + "\n".join(aligned(found.grid)))
    for number, reason in enumerate(found.reasons, 1):
        print(f"[{number}] {shown(reason)}")
    print("\n".join(shown(note) for note in found.notes))


def aligned(grid: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table of text, its columns as wide as they need."""
    widths = [max(len(line[column]) for line in grid) for column in range(len(grid[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in grid]


def _print_page(options: argparse.Namespace) -> int:
    from limpid.bench.papers.page import TrainingSet, reproduce_page
    from limpid.train.data.layouts import LAYOUTS
    from limpid.train.recipes import find_recipe

    if options.name is not None:
        raise SettingsError("--markdown prints the page of all papers; leave the name out")
    sets = [
        TrainingSet(name=each.name, what=each.summary, licence=each.licence, where=each.where)
        for each in LAYOUTS.values()
    ]
    sys.stdout.write(reproduce_page(sets, lambda name: find_recipe(name).stages))
    return 0
