"""What a table of a paper takes, in words, and what of it is here: for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limpid.bench.datasets import DATASETS, Dataset, check_dataset, find_clips
from limpid.bench.jobs import Variant
from limpid.bench.papers.beside import metrics_of
from limpid.bench.papers.costs import hours_text, row_hours
from limpid.bench.papers.kinds import Paper, PaperPart, PaperRow
from limpid.checkpoints.folders import CARD, weights_root
from limpid.checkpoints.manifest import ENTRIES, how_to_get
from limpid.flow.installed import find_flow_weights
from limpid.metrics.catalogue import METRICS
from limpid.metrics.files import missing_files, named
from limpid.types import LimpidError


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was found of a table: columns of a run, and the rows that cannot be run with the reason."""

    variants: Sequence[Variant]
    not_run: Mapping[str, str]
    dataset: Dataset | None = None
    root: Path | None = None
    method: str = ""
    weights: Path | None = None
    """What was named in place of the installed weights of ``method``."""


def part_lines(paper: Paper, part: PaperPart, looked: Looked) -> Iterator[str]:
    """Data, weights, metrics and rows of a table or figure, each with its state here, and what cannot be had."""
    yield f"{paper.title}, {part.heading}: {part.title}"
    for title, lines in (
        ("data", [dataset_line(name, looked) for name in part.datasets]),
        ("weights", [_weights_here(name, looked) for name in weights_of(part)]),
        ("metrics", [metric_line(name) for name in _metrics(paper, part)]),
        ("rows", list(_row_lines(part, looked))),
        ("made by", [part.command] if part.command else []),
        ("cannot be had", [part.missing] if part.missing else []),
        ("note", [part.note] if part.note else []),
        ("run it", [run_command(paper, part)] if part.rows else []),
    ):
        if lines:
            yield from ("", title, *(f"  {line}" for line in lines))


def run_command(paper: Paper, part: PaperPart) -> str:
    """The command that makes a table; a row of it by ``--row LABEL``."""
    return f"limpid bench paper {paper.name} {part.name} --dataset {part.datasets[0]} --root DIR --out RUN"


def dataset_line(name: str, looked: Looked) -> str:
    """Where a set is from, under which licence, and whether it is here."""
    dataset = DATASETS[name]
    return f"{name}: {dataset.title} (licence: {dataset.licence}), {dataset.where}; here: {_set_here(dataset, looked)}"


def _set_here(dataset: Dataset, looked: Looked) -> str:
    if looked.root is None or looked.dataset is None or looked.dataset.name not in (dataset.name, "folder"):
        return "not looked for (--dataset and --root say where)"
    try:
        found, problems = find_clips(looked.dataset, looked.root), check_dataset(looked.dataset, looked.root)
    except LimpidError as error:
        return f"no: {error}"
    stands_in = "" if looked.dataset.name == dataset.name else "no, but other clips in its place: "
    return stands_in + ("; ".join(problems[:3]) or f"{len(found)} clips in {looked.root}")


def weights_of(part: PaperPart) -> list[str]:
    """Names of the catalogue of weights that the rows of a table need."""
    methods = [row.method for row in part.rows if row.method in ENTRIES]
    flows = [flow for row in part.rows for flow in _flows_of(row)]
    named_ones = [str(row.changes["weights"]) for row in part.rows if row.changes.get("weights") in ENTRIES]
    return list(dict.fromkeys([*methods, *flows, *named_ones]))


_FLOW_WEIGHTS = {"raft": "raft-things", "spynet": "spynet"}
_ALONG_THE_FLOW = ("upscale-a-video", "mgld-vsr")
"""Methods of papers whose flow is RAFT's; here DIS takes its place where RAFT is not installed."""


def _flows_of(row: PaperRow) -> list[str]:
    named_one = _FLOW_WEIGHTS.get(str(row.changes.get("flow")))
    usual = row.method in _ALONG_THE_FLOW and row.changes.get("consistency") != "none"
    return [named_one] if named_one else ["raft-things"] if usual else []


def _weights_here(name: str, looked: Looked) -> str:
    if looked.weights is not None and name == looked.method:
        return f"{name}: {looked.weights} (--weights)"
    return weights_line(name)


def weights_line(name: str) -> str:
    """Whether weights are installed, else what to do."""
    place = weights_root() / name
    return f"{name}: here, {place}" if (place / CARD).is_file() else f"{name}: not here: {how_to_get(ENTRIES[name])}"


def _metrics(paper: Paper, part: PaperPart) -> list[str]:
    names = [metrics_of(paper, part, name, has_truth=DATASETS[name].has_truth) for name in part.datasets]
    return list(dict.fromkeys(name for group in names for name in group))


def metric_line(name: str) -> str:
    """Whether a metric can be computed."""
    metric = METRICS[name]
    missing = missing_files(metric)
    if name.endswith("-raft") and find_flow_weights("raft") is None:
        return f"{name}: {metric.label}: needs raft-things: {how_to_get(ENTRIES['raft-things'])}"
    state = f"needs {named(missing)}" if missing else "can be computed" if not metric.needs else _needs(metric.needs)
    return f"{name}: {metric.label}: {state}"


def _needs(needs: tuple[str, ...]) -> str:
    return f"can be computed where there is {' and '.join(_NEEDS[need] for need in needs)}"


_NEEDS = {
    "gt": "ground truth",
    "lr": "an input a quarter as large",
    "borders": "more than one segment",
    "tiles": "tiles",
}


def _row_lines(part: PaperPart, looked: Looked) -> Iterator[str]:
    ready = {variant.label for variant in looked.variants}
    for row in part.rows:
        hours = [(name, row_hours(row, name)) for name in part.datasets]
        cost = ", ".join(f"{name} {hours_text(found)}" for name, found in hours if found is not None)
        about = f", about {cost} on one A100" if row.method and cost else ""
        cannot = "cannot be run here, see below the table" if row.label in looked.not_run else "left out"
        state = f"can be run{about}" if row.label in ready else cannot
        yield f"{row.label}: {state}" + (f" ({row.note})" if row.note else "")


def paper_lines(paper: Paper) -> Iterator[str]:
    """All tables and figures of a paper, one line each."""
    yield paper.title
    for part in paper.parts:
        rows = f"; {len(part.rows)} rows on {', '.join(part.datasets)}" if part.rows else ""
        without = "" if part.rows or part.command else f"; {part.note or f'cannot be had: {part.missing}'}"
        yield f"  {part.name:6} {part.title}{rows}{without}"
