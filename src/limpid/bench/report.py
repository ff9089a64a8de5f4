"""The report of one or more runs: a page that needs no network, and the same as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from limpid.bench.page import html_page
from limpid.bench.sections import Section, make_section
from limpid.bench.tables import Table, TableRow, cell_text, line_title, published_grids
from limpid.types import OutputError

PAGE, MARKDOWN, SPREADSHEET = "report.html", "report.md", "report.csv"


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


# ------------------------------------------------------------------------------------------ Markdown and CSV


def markdown(sections: Sequence[Section]) -> str:
    """Every table as Markdown; best **bold**, second *italic*."""
    parts = ["# Benchmark\n"]
    for section in sections:
        parts += [f"## {_plain(section.title)}\n", *(f"- {_plain(fact)}" for fact in section.facts), ""]
        parts += [f"> **Note:** {_plain(warning)}" for warning in section.warnings] + [""]
        parts += _markdown_beside(section)
        parts += [_markdown_table(section.table), ""]
        lines = [line for line in section.table.lines if line.partial]
        parts += [f"- {_plain(line.label)}, not on every clip: {_plain(line.partial)}" for line in lines]
        parts += [*_remark_lines(section.table), ""]
        parts += _failures(section) + _markdown_published(section)
    return "\n".join(parts)


def _remark_lines(table: Table) -> list[str]:
    return [f"- {_plain(line.label)}: {_plain(said)}" for line in table.lines for said in line.remarks]


def _markdown_table(table: Table) -> str:
    head = ["", *table.methods]
    lines = [
        [line_title(line), *(_markdown_cell(line, index) for index in range(len(head) - 1))] for line in table.lines
    ]
    return _grid([head, *lines])


def _markdown_cell(line: TableRow, index: int) -> str:
    text = cell_text(line.cells[index])
    stars = {"best": "**", "second": "*", "": ""}[line.cells[index].mark]
    return f"{stars}{text}{stars}"


def _markdown_beside(section: Section) -> list[str]:
    if section.beside is None:
        return []
    found = section.beside
    reasons = [f"{number}. {_plain(reason)}" for number, reason in enumerate(found.reasons, 1)]
    notes = [f"- {_plain(note)}" for note in found.notes]
    return [f"### {_plain(found.title)}\n", _grid([list(line) for line in found.grid]), "", *reasons, "", *notes, ""]


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
