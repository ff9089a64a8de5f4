"""What a run folder says, as the report shows it: facts, warnings, tables, published numbers beside them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from limpid.bench.datasets import DATASETS
from limpid.bench.papers import find_paper, find_part
from limpid.bench.papers.beside import Beside, beside, numbers_of
from limpid.bench.published import Published, published_for, warnings_for
from limpid.bench.rows import Row, read_rows, read_run_card
from limpid.bench.run import DEFAULT_METRICS
from limpid.bench.tables import Table, make_table
from limpid.metrics.catalogue import METRICS


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
    beside: Beside | None = None
    """The paper's table with our numbers, where the run is of one."""

    @property
    def failures(self) -> list[Row]:
        return [row for row in self.rows if row.error]


def make_section(run: Path) -> Section:
    """What a run folder says. Raises InputError when it holds no run."""
    card, rows = read_run_card(run), read_rows(run)
    table = make_table(rows, list(card["methods"]), card["metrics"])
    numbers, together = published_for(card["dataset"]), None
    if card.get("paper"):
        paper = find_paper(card["paper"][0])
        part = find_part(paper, card["paper"][1])
        numbers = numbers_of(paper, part, card["dataset"])
        together = beside(paper, part, card["dataset"], table, card["not_run"])
    return Section(
        title=f"{DATASETS[card['dataset']].title} ({run.name})",
        facts=tuple(_facts(card, rows)),
        warnings=tuple(_warnings(card, rows)),
        table=table,
        rows=tuple(rows),
        published=tuple(numbers),
        published_warnings=tuple(warnings_for(numbers)),
        beside=together,
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
    return [*card["problems"], *unfinished, *missing, *lossy, *mixed, *_random(rows), *_twins(rows)]


def _random(rows: list[Row]) -> list[str]:
    """Methods whose numbers say nothing of them."""
    names = list(dict.fromkeys(row.method for row in rows if row.random_weights))
    said = "the weights are random numbers: this says whether it runs, not how good it is"
    return [f"{'; '.join(names)}: {said}"] if names else []


def _twins(rows: list[Row]) -> list[str]:
    """Columns that gave the same pixels wherever both have a result: what was to make the difference had no effect."""
    made: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.sr_sha256:
            made.setdefault(row.method, {})[row.clip] = row.sr_sha256
    pairs = [(a, b, made[a].keys() & made[b].keys()) for a, b in combinations(made, 2)]
    return [
        f"{a} and {b} gave the same pixels on {'both clips' if len(clips) == 2 else f'all {len(clips)} clips'}"
        if len(clips) > 1
        else f"{a} and {b} gave the same pixels on the only clip that both have"
        for a, b, clips in pairs
        if clips and all(made[a][clip] == made[b][clip] for clip in clips)
    ]
