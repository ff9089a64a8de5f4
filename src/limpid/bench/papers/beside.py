"""Our numbers of a table beside the published ones: rows and columns as the paper has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limpid.bench.papers.columns import COLUMNS, NOT_HERE, columns_of
from limpid.bench.papers.kinds import Paper, PaperPart, PaperRow
from limpid.bench.published import PUBLISHED_DATASETS, Published, published
from limpid.bench.tables import ARROWS, Cell, Table, TableRow, number
from limpid.metrics.catalogue import METRICS

NOT_PRINTED = "-"
SPEED = "seconds_per_frame"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A table as text. The first line and column are headings; ``[1]`` in a cell is the first of ``reasons``."""

    title: str
    grid: tuple[tuple[str, ...], ...]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def numbers_of(paper: Paper, part: PaperPart, dataset: str) -> list[Published]:
    """What the paper prints in a table, for one set: that which was run where it has it, else its first."""
    here = [n for n in published() if n.paper == paper.title and n.table == part.heading]
    sets = dict.fromkeys(n.dataset for n in here)
    names = [name for name in PUBLISHED_DATASETS.get(dataset, ()) if name in sets] or list(sets)[:1]
    return [n for n in here if n.dataset in names[:1]]


def metrics_of(paper: Paper, part: PaperPart, dataset: str, *, has_truth: bool) -> tuple[str, ...]:
    """The metrics of the catalogue that stand in a table's columns, in its order."""
    numbers = numbers_of(paper, part, dataset)
    wanted = [COLUMNS[name].here(has_truth=has_truth) for name in columns_of(numbers) if name in COLUMNS]
    return tuple(dict.fromkeys([*wanted, *part.metrics]))


def beside(paper: Paper, part: PaperPart, dataset: str, table: Table, not_run: Mapping[str, str]) -> Beside:
    """The table of a paper with our numbers. ``table``: of the run; ``not_run``: label -> why."""
    numbers = numbers_of(paper, part, dataset)
    reasons: dict[str, int] = {}
    columns = [_published_column(name, part, table, numbers) for name in columns_of(numbers)]
    columns += [_own_column(name, table) for name in part.metrics]
    columns.append(_own_column(SPEED, table))
    head = ("", *(title for column in columns for title in column.titles))
    lines = [
        (row.label, *(text for column in columns for text in column.texts(row, table, not_run, reasons)))
        for row in part.rows
    ]
    return Beside(
        title=f"{paper.title}, {part.heading}: {part.title}",
        grid=(head, *lines),
        reasons=tuple(reasons),
        notes=tuple(_notes(part, dataset, numbers)),
    )


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A metric of the table: ours, and the paper's where it prints one."""

    titles: tuple[str, ...]
    line: TableRow | None
    """The line of the run; None: it was not measured."""
    reason: str = ""
    """Why it was not."""
    factor: float = 1.0
    theirs: Mapping[str, str] | None = None
    """Published row -> number; None: the paper has no such column."""

    def texts(
        self, row: PaperRow, table: Table, not_run: Mapping[str, str], reasons: dict[str, int]
    ) -> tuple[str, ...]:
        ours = self._ours(row.label, table, not_run)
        if ours.value is None:
            text = f"n/a [{reasons.setdefault(ours.reason, len(reasons) + 1)}]"
        else:
            text = number(ours.value * self.factor) + (f" ({ours.clips} of {ours.of})" if ours.clips < ours.of else "")
        return (text,) if self.theirs is None else (text, self.theirs.get(row.published, NOT_PRINTED))

    def _ours(self, label: str, table: Table, not_run: Mapping[str, str]) -> Cell:
        if label in not_run:
            return Cell(value=None, reason=not_run[label])
        if self.line is None:
            return Cell(value=None, reason=self.reason)
        if label not in table.methods:
            return Cell(value=None, reason="not run yet")
        return self.line.cells[table.methods.index(label)]


def _published_column(name: str, part: PaperPart, table: Table, numbers: Sequence[Published]) -> _Column:
    theirs = {n.method: n.printed for n in numbers if n.metric == name}
    column = COLUMNS.get(name)
    if column is None:
        return _Column(titles=(name, "paper"), line=None, reason=NOT_HERE.get(name, "not measured"), theirs=theirs)
    lines = {line.name: line for line in table.quality}
    line = lines.get(column.metric) or lines.get(column.without_truth)
    arrow = ARROWS[METRICS[column.metric].better]
    return _Column(
        titles=(f"{name} {arrow}", "paper"),
        line=line,
        reason="not asked for (--metrics)",
        factor=column.factor,
        theirs=theirs,
    )


def _own_column(name: str, table: Table) -> _Column:
    line = next((line for line in table.lines if line.name == name), None)
    title = f"{line.label} {ARROWS[line.better]}" if line else name
    return _Column(titles=(title,), line=line, reason="not asked for (--metrics)")


def _notes(part: PaperPart, dataset: str, numbers: Sequence[Published]) -> list[str]:
    """What has to be known to read the table."""
    theirs = dict.fromkeys(n.dataset for n in numbers)
    same = set(theirs) & set(PUBLISHED_DATASETS.get(dataset, ()))
    sets = [f"the paper's numbers are those of {', '.join(theirs)}, ours of other clips"] if theirs and not same else []
    lq = ["the low-quality frames are not the paper's, so numbers do not compare across the two"] if same else []
    differs = [f"{name}: {COLUMNS[name].differs}" for name in columns_of(list(numbers))
               if name in COLUMNS and COLUMNS[name].differs]  # fmt: skip
    rows = [f"{row.label}: {row.note}" for row in part.rows if row.note]
    return [*sets, *lq, *differs, *rows, *filter(None, [part.note])]
