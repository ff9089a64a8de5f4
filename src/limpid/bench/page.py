"""The report as one HTML page: no script, nothing loaded from elsewhere, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from limpid.bench.rows import Row
from limpid.bench.sections import Section
from limpid.bench.tables import Cell, Table, TableRow, cell_text, line_title, number, published_grids
from limpid.metrics.catalogue import METRICS

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --quiet: #777; --good: #1a7f37; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child, td.text { text-align: left; } thead th { border-bottom-width: 2px; }
tbody th { font-weight: normal; max-width: 26rem; } tr.first > * { border-top: 2px solid var(--line); }
td.best { font-weight: 700; color: var(--good); } td.second { text-decoration: underline; }
.na { color: var(--quiet); font-size: .85em; text-align: left; max-width: 18rem; }
.warn { border-left: 4px solid #d4a72c; padding: .3rem .8rem; margin: .5rem 0; background: var(--soft); }
.quiet, figcaption { color: var(--quiet); } details { margin: .8rem 0; } summary { cursor: pointer; }
"""


def html_page(sections: Sequence[Section]) -> str:
    """The whole page."""
    body = "\n".join(_section(section) for section in sections)
    names = dict.fromkeys(line.name for section in sections for line in section.table.quality)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Limpid benchmark</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Limpid benchmark</h1>\n"
        "<p class=quiet>Means over clips. <b>Best</b> and <u>second</u> by each metric's direction (arrow), among "
        "methods with numbers for the same clips; metrics that a blurred result wins are not ranked.</p>\n"
        f"{body}\n{_definitions(names)}\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    parts = [
        f"<h2>{escape(section.title)}</h2>",
        "<ul class=quiet>" + "".join(f"<li>{escape(fact)}</li>" for fact in section.facts) + "</ul>",
        _warnings(section.warnings),
        _beside(section),
        _main_table(section.table),
        _failures(section.failures),
        _clips(section),
        _published(section),
    ]
    return "\n".join(part for part in parts if part)


def _warnings(texts: Iterable[str]) -> str:
    return "".join(f"<p class=warn>{escape(text)}</p>" for text in texts)


def _main_table(table: Table) -> str:
    head = "<tr><th scope=col></th>" + "".join(f"<th scope=col>{escape(m)}</th>" for m in table.methods) + "</tr>"
    lines = [_line(line, first=line is table.cost[0]) for line in table.lines]
    notes = "".join(f"<li>{escape(line.label)}: {escape(line.partial)}</li>" for line in table.lines if line.partial)
    below = f"<p class=quiet>Not measured on every clip:</p><ul class=quiet>{notes}</ul>" if notes else ""
    said = "".join(f"<li>{escape(line.label)}: {escape(text)}</li>" for line in table.lines for text in line.remarks)
    below += f"<ul class=quiet>{said}</ul>" if said else ""
    return f"<div class=wide><table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table></div>{below}"


def _line(line: TableRow, *, first: bool) -> str:
    start = f"<tr{' class=first' if first else ''}><th scope=row>{escape(line_title(line))}</th>"
    if line.common_reason:
        return f'{start}<td class=na colspan="{len(line.cells)}">n/a: {escape(line.common_reason)}</td></tr>'
    return start + "".join(map(_cell, line.cells)) + "</tr>"


def _cell(cell: Cell) -> str:
    kind = "na" if cell.value is None else cell.mark
    return f"<td{f' class={kind}' if kind else ''}>{escape(cell_text(cell))}</td>"


def _failures(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    grid = [["clip", "method", "error"], *([row.clip, row.method, row.error or ""] for row in rows)]
    return f"<h3>Clips that failed</h3>{_grid(grid, text=True)}"


def _clips(section: Section) -> str:
    """Every row of the run, folded away."""
    good = [row for row in section.rows if not row.error]
    lines = [line for line in section.table.quality if any(cell.value is not None for cell in line.cells)]
    if not good:
        return ""
    head = ["clip", "method", "frames", "size", "s/frame", *(line.label for line in lines)]
    grid = [head, *(_clip_row(row, lines) for row in good)]
    return f"<details><summary>Every clip ({len(good)} rows)</summary>{_grid(grid)}</details>"


def _clip_row(row: Row, lines: Sequence[TableRow]) -> list[str]:
    found = [row.values.get(line.name) for line in lines]
    values = ["" if v is None else "n/a" if v.value is None else number(v.value) for v in found]
    speed = "" if row.seconds_per_frame is None else number(row.seconds_per_frame)
    return [row.clip, row.method, str(row.frames), f"{row.width}x{row.height}", speed, *values]


def _beside(section: Section) -> str:
    """The paper's table with our numbers, its footnotes below."""
    if section.beside is None:
        return ""
    found = section.beside
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in found.reasons)
    notes = "".join(f"<li>{escape(note)}</li>" for note in found.notes)
    return (
        f"<h3>{escape(found.title)}</h3>{_grid(found.grid)}"
        f"<ol class=quiet>{reasons}</ol><ul class=quiet>{notes}</ul><h3>All that was measured</h3>"
    )


def _published(section: Section) -> str:
    if not section.published:
        return ""
    grids = [f"<h4>{escape(title)}</h4>{_grid(grid)}" for title, grid in published_grids(section.published)]
    return f"<h3>Published numbers</h3>{_warnings(section.published_warnings)}{''.join(grids)}"


def _grid(rows: Sequence[Sequence[str]], *, text: bool = False) -> str:
    kind = " class=text" if text else ""
    head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in rows[0])
    lines = [
        f"<tr><th scope=row>{escape(row[0])}</th>" + "".join(f"<td{kind}>{escape(c)}</td>" for c in row[1:]) + "</tr>"
        for row in rows[1:]
    ]
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"


def _definitions(names: Iterable[str]) -> str:
    known = [METRICS[name] for name in names if name in METRICS]
    items = "".join(
        f"<dt><b>{escape(m.label)}</b></dt><dd>{escape(m.definition)} <span class=quiet>{escape(m.source)}</span></dd>"
        for m in known
    )
    return f"<details><summary>How each metric is defined</summary><dl>{items}</dl></details>" if items else ""
