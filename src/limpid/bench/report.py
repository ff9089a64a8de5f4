"""The report of one or more runs: a page that needs no network, and the same as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpid.bench.datasets import DATASETS
from limpid.bench.page import html_page
from limpid.bench.published import Published, published_for, warnings_for
from limpid.bench.rows import Row, read_card, read_rows
from limpid.bench.run import DEFAULT_METRICS
from limpid.bench.tables import Line, Table, cell_text, line_title, make_table, published_grids
from limpid.metrics.catalogue import METRICS
from limpid.types import OutputError

PAGE, MARKDOWN, SPREADSHEET = "report.html", "report.md", "report.csv"


@dataclass(frozen=True, kw_only=True)
class Section:
    """One run as the report shows it."""

    title: str
    facts: tuple[str, ...]
    warnings: tuple[str, ...]
    table: Table
    rows: tuple[Row, ...]
    published: tuple[Published, ...]
    published_warnings: tuple[str, ...]

    @property
    def failures(self) -> list[Row]:
        return [row for row in self.rows if row.error]


def write_report(runs: Sequence[Path], out: Path | None = None) -> list[Path]:
    """Write the report of these runs into ``out`` (the first run without it) and return the three files.

    Raises:
        InputError: a folder holds no run. OutputError: the files cannot be written.
    """
    sections = [make_section(run) for run in runs]
    folder = out or runs[0]
    texts = {PAGE: html_page(sections), MARKDOWN: markdown(sections), SPREADSHEET: spreadsheet(sections)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: the report cannot be written ({error.strerror})") from error
    return [folder / name for name in texts]


def make_section(run: Path) -> Section:
    """What a run folder says. Raises InputError when it holds no run."""
    card, rows = read_card(run), read_rows(run)
    numbers = published_for(card["dataset"])
    return Section(
        title=f"{DATASETS[card['dataset']].title} ({run.name})",
        facts=tuple(_facts(card, rows)),
        warnings=tuple(_warnings(card, rows)),
        table=make_table(rows, list(card["methods"]), card["metrics"]),
        rows=tuple(rows),
        published=tuple(numbers),
        published_warnings=tuple(warnings_for(numbers)),
    )


def _facts(card: dict[str, Any], rows: list[Row]) -> list[str]:
    frames = f"the first {card['frames']} frames of each" if card["frames"] else "all frames"
    made = "given with the data set" if card["pipeline"] == "given" else f"{card['pipeline']}, seed {card['seed']}"
    devices = sorted({row.device for row in rows if row.device})
    settings = ", ".join(f"{name}={value}" for name, value in card["settings"].items()) or "those of each method"
    return [
        f"{len(card['clips'])} clips, {frames}; licence of the data: {DATASETS[card['dataset']].licence}",
        f"low-quality input: {made}; frozen and hashed before any method ran",
        f"settings: {settings}; Limpid {card['version']}; computed on {', '.join(devices) or 'nothing yet'}",
        *_metric_facts(card["metrics"]),
        "outputs were written and read losslessly; each method ran in a process of its own",
    ]


def _metric_facts(metrics: list[str]) -> list[str]:
    left = [name for name in METRICS if name not in metrics]
    chosen = "the fast default set" if tuple(metrics) == DEFAULT_METRICS else f"{len(metrics)} metrics"
    return [f"{chosen}; not asked for, and in --metrics all: {', '.join(left)}"] if left else []


def _warnings(card: dict[str, Any], rows: list[Row]) -> list[str]:
    wanted = len(card["clips"]) * len(card["methods"])
    unfinished = [f"the run is not finished: {len(rows)} of {wanted} rows"] if len(rows) < wanted else []
    missing = [f"{label} could not be run here: {reason}" for label, reason in card["not_run"].items()]
    lossy = [f"{row.method} on {row.clip}: the output is lossy" for row in rows if not row.lossless]
    hashes: dict[str, set[str]] = {}
    for row in rows:
        hashes.setdefault(row.clip, set()).update({row.lr_sha256} - {""})
    mixed = [f"{clip}: methods saw different inputs" for clip, seen in hashes.items() if len(seen) > 1]
    return [*card["problems"], *unfinished, *missing, *lossy, *mixed]


# ------------------------------------------------------------------------------------------ Markdown and CSV


def markdown(sections: Sequence[Section]) -> str:
    """Every table as Markdown; best **bold**, second *italic*."""
    parts = ["# Benchmark\n"]
    for section in sections:
        parts += [f"## {_plain(section.title)}\n", *(f"- {_plain(fact)}" for fact in section.facts), ""]
        parts += [f"> **Note:** {_plain(warning)}" for warning in section.warnings] + [""]
        parts += [_markdown_table(section.table), ""]
        lines = [line for line in section.table.lines if line.partial]
        parts += [f"- {_plain(line.label)}, not on every clip: {_plain(line.partial)}" for line in lines] + [""]
        parts += _failures(section) + _markdown_published(section)
    return "\n".join(parts)


def _markdown_table(table: Table) -> str:
    head = ["", *table.methods]
    lines = [
        [line_title(line), *(_markdown_cell(line, index) for index in range(len(head) - 1))] for line in table.lines
    ]
    return _grid([head, *lines])


def _markdown_cell(line: Line, index: int) -> str:
    text = cell_text(line.cells[index])
    stars = {"best": "**", "second": "*", "": ""}[line.cells[index].mark]
    return f"{stars}{text}{stars}"


def _grid(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _plain(text: str) -> str:
    """Text that cannot end a table cell or begin HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _failures(section: Section) -> list[str]:
    if not section.failures:
        return []
    rows = [[row.clip, row.method, row.error or ""] for row in section.failures]
    return ["Clips that failed:\n", _grid([["clip", "method", "error"], *rows]), ""]


def _markdown_published(section: Section) -> list[str]:
    if not section.published:
        return []
    parts = ["### Published numbers\n", *(f"> {_plain(warning)}\n>" for warning in section.published_warnings), ""]
    for title, grid in published_grids(section.published):
        parts += [f"{_plain(title)}\n", _grid(grid), ""]
    return parts


def spreadsheet(sections: Sequence[Section]) -> str:
    """One line per set, method and metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["dataset", "method", "metric", "better", "mean", "clips", "of", "mark", "reason"])
    for section in sections:
        for line in section.table.lines:
            for method, cell in zip(section.table.methods, line.cells, strict=True):
                value = "" if cell.value is None else repr(cell.value)
                writer.writerow(
                    [section.title, method, line.name, line.better, value, cell.clips, cell.of, cell.mark, cell.reason]
                )
    return text.getvalue()
