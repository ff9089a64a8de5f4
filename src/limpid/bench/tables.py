"""From rows to a table: means over clips, best and second of each metric, and reasons where there is no number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from limpid.bench.published import Published
from limpid.bench.rows import Row, RowValue
from limpid.metrics.catalogue import METRICS

Mark = Literal["", "best", "second"]
BLUR_WINS = ("ewarp", "we", "vbench")
"""Metrics (first part of the name) that a blurred result wins: shown, but nobody is called best in them."""
ARROWS = {"higher": "↑", "lower": "↓"}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One method in one line: the mean over ``clips`` of ``of`` clips, and the ``reason`` why others have no number."""

    value: float | None
    clips: int = 0
    of: int = 0
    reason: str = ""
    mark: Mark = ""
    names: frozenset[str] = frozenset()
    """The clips that the mean is over."""


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A metric, or speed or memory, over all methods."""

    name: str
    label: str
    better: str
    ranked: bool
    cells: tuple[Cell, ...]
    note: str = ""
    remarks: tuple[str, ...] = ()
    """What the metric said beside its numbers, such as whose flow they rest on."""

    @property
    def partial(self) -> str:
        """Why some clips have no number where others have one."""
        return "; ".join(dict.fromkeys(c.reason for c in self.cells if c.value is not None and c.reason))

    @property
    def common_reason(self) -> str:
        """The one reason why no method has a number; empty when there is a number or reasons differ."""
        reasons = {cell.reason for cell in self.cells}
        return reasons.pop() if len(reasons) == 1 and all(cell.value is None for cell in self.cells) else ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Methods are columns, as in the papers."""

    methods: tuple[str, ...]
    quality: tuple[TableRow, ...]
    cost: tuple[TableRow, ...]

    @property
    def lines(self) -> tuple[TableRow, ...]:
        return self.quality + self.cost


def make_table(rows: Sequence[Row], methods: Sequence[str], metrics: Sequence[str]) -> Table:
    """The table of one run, in the order of ``methods`` and ``metrics``."""
    by_method = {method: [row for row in rows if row.method == method] for method in methods}
    quality = tuple(_metric_line(name, by_method) for name in metrics)
    return Table(methods=tuple(methods), quality=quality, cost=_cost_lines(by_method))


def _metric_line(name: str, by_method: dict[str, list[Row]]) -> TableRow:
    metric = METRICS.get(name)
    label = metric.label if metric else name
    blur = name.split("-")[0] in BLUR_WINS
    cells = [
        _cell(rows, lambda row: row.values.get(name, RowValue(value=None, reason="not measured")))
        for rows in by_method.values()
    ]
    line = TableRow(
        name=name,
        label=f"{label} ({metric.unit})" if metric and metric.unit and metric.unit not in label else label,
        better=metric.better if metric else "higher",
        ranked=not blur and (metric is None or metric.ranked),
        cells=tuple(cells),
        note="blur wins it: no best is marked" if blur else "",
        remarks=_remarks(name, by_method),
    )
    return marked(line)


def _remarks(name: str, by_method: dict[str, list[Row]]) -> tuple[str, ...]:
    found = [row.values[name].note for rows in by_method.values() for row in rows if name in row.values]
    return tuple(dict.fromkeys(note for note in found if note))


def _cost_lines(by_method: dict[str, list[Row]]) -> tuple[TableRow, ...]:
    def line(name: str, label: str, get: Callable[[Row], float | None], *, ranked: bool = False) -> TableRow:
        cells = [
            _cell(rows, lambda row: RowValue(value=get(row), reason="not measured")) for rows in by_method.values()
        ]
        return marked(TableRow(name=name, label=label, better="lower", ranked=ranked, cells=tuple(cells)))

    gib = 1 / 2**30
    lines = [
        line("seconds_per_frame", "seconds per frame", lambda row: row.seconds_per_frame),
        line("seconds", "seconds per clip, loading included", lambda row: row.seconds),
        line("peak_memory", "peak memory (GiB)", lambda row: None if row.peak_bytes is None else row.peak_bytes * gib),
    ]
    if any(row.device_peak_bytes for rows in by_method.values() for row in rows):
        get = lambda row: None if row.device_peak_bytes is None else row.device_peak_bytes * gib  # noqa: E731
        lines.append(line("peak_device_memory", "peak GPU memory (GiB)", get))
    return tuple(lines)


def _cell(rows: list[Row], get: Callable[[Row], RowValue]) -> Cell:
    """The mean over the clips that have a value."""
    if not rows:
        return Cell(value=None, reason="not run yet")
    values = {row.clip: get(row) for row in rows if not row.error}
    numbers = {clip: value.value for clip, value in values.items() if value.value is not None}
    reasons = dict.fromkeys(value.reason or "no reason was given" for value in values.values() if value.value is None)
    failed = dict.fromkeys(f"failed: {row.error}" for row in rows if row.error)
    reason = "; ".join(list(reasons or ({} if numbers else failed))[:2])
    if not numbers:
        return Cell(value=None, of=len(rows), reason=reason)
    mean = sum(numbers.values()) / len(numbers)
    return Cell(value=mean, clips=len(numbers), of=len(rows), reason=reason, names=frozenset(numbers))


def marked(line: TableRow) -> TableRow:
    """Best and second by the metric's direction, among methods with numbers for the same clips: the most there are."""
    most = max((cell.names for cell in line.cells), key=len, default=frozenset())
    fair = [cell.value for cell in line.cells if cell.value is not None and cell.names == most]
    if not line.ranked or len(fair) < 2:
        return line
    order = sorted(set(fair), reverse=line.better == "higher")
    marks: dict[float, Mark] = dict(zip(order, ("best", "second"), strict=False))
    cells = [
        replace(cell, mark=marks.get(cell.value, "")) if cell.value is not None and cell.names == most else cell
        for cell in line.cells
    ]
    return replace(line, cells=tuple(cells))


def number(value: float) -> str:
    """Four digits: ``25.32``, ``0.7215``, ``0.001840``."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")


def cell_text(cell: Cell) -> str:
    """``25.32``, ``25.32 (5 of 6 clips)`` or ``n/a: reason``."""
    if cell.value is None:
        return f"n/a: {cell.reason}"
    return number(cell.value) + (f" ({cell.clips} of {cell.of} clips)" if cell.clips < cell.of else "")


def line_title(line: TableRow) -> str:
    """``PSNR (RGB) ↑``."""
    return f"{line.label} {ARROWS[line.better]}" + (f" ({line.note})" if line.note else "")


def published_grids(numbers: Sequence[Published]) -> list[tuple[str, list[list[str]]]]:
    """One grid per paper, table and set: methods are columns, metrics lines, the first line and column are headings."""
    groups: dict[tuple[str, str, str], list[Published]] = {}
    for entry in numbers:
        groups.setdefault((entry.paper, entry.table, entry.dataset), []).append(entry)
    grids = []
    for (paper, table, dataset), entries in groups.items():
        methods, metrics = dict.fromkeys(e.method for e in entries), dict.fromkeys(e.metric for e in entries)
        values = {(e.metric, e.method): e.printed for e in entries}
        lines = [[metric, *(values.get((metric, method), "") for method in methods)] for metric in metrics]
        grids.append((f"{paper}, {table}: {dataset}", [["", *methods], *lines]))
    return grids
