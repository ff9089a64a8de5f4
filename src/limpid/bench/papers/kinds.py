"""Papers as plain data: their tables and figures, and what makes each row of them here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limpid.methods.ablations import ABLATIONS


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """One row of a table: one run of a method, with weights of its makers or of a recipe; or a program of others."""

    label: str
    published: str = ""
    """Its name in `limpid.bench.published`; empty: the paper prints no numbers for it."""
    method: str = ""
    """What runs it: a method, ``bicubic``, or `limpid.bench.worker.RECONSTRUCT`; empty: a program of others."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Changed settings."""
    recipe: str = ""
    """The training that its weights come from; empty: the makers' weights."""
    other: str = ""
    """Key of `limpid.bench.papers.others.OTHERS`."""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class PaperPart:
    """A table or a figure."""

    name: str
    """``2`` for Table 2, ``fig7`` for Figure 7."""
    title: str
    rows: tuple[PaperRow, ...] = ()
    datasets: tuple[str, ...] = ()
    """What it is measured on, by the names of `limpid.bench.datasets`; what was never released is in `missing`."""
    metrics: tuple[str, ...] = ()
    """What is measured here, in the catalogue's names, where the paper prints no numbers."""
    command: str = ""
    """What makes it, where it is not a table of runs."""
    missing: str = ""
    """What nobody can have, and why."""
    note: str = ""

    @property
    def is_figure(self) -> bool:
        return self.name.startswith("fig")

    @property
    def heading(self) -> str:
        """``Table 2``, ``Figure 7``."""
        return f"Figure {self.name.removeprefix('fig')}" if self.is_figure else f"Table {self.name}"


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A paper, by the name of its method."""

    name: str
    title: str
    parts: tuple[PaperPart, ...]
    trained_on: tuple[str, ...]
    """What its authors trained on, by the names of the layouts of `limpid train prepare --check`."""
    training: tuple[tuple[str, str], ...]
    """Recipe and what it starts from, in order, for weights of one's own."""


def settings_rows(
    method: str, published: Mapping[str, str], notes: Mapping[str, str] | None = None
) -> tuple[PaperRow, ...]:
    """Rows of `limpid.methods.ablations` by their labels; ``published``: label -> the paper's row."""
    said = notes or {}
    return tuple(
        PaperRow(
            label=label,
            published=theirs,
            method=method,
            changes=ABLATIONS[method][label],
            note=said.get(label, ""),
        )
        for label, theirs in published.items()
    )


def trained(label: str, published: str, method: str, recipe: str, note: str = "", **changes: Any) -> PaperRow:
    """A row whose weights come from a training of its own."""
    return PaperRow(label=label, published=published, method=method, recipe=recipe, changes=changes, note=note)


def figure(number: int, title: str, command: str = "", missing: str = "", note: str = "") -> PaperPart:
    """A figure without numbers."""
    return PaperPart(name=f"fig{number}", title=title, command=command, missing=missing, note=note)
