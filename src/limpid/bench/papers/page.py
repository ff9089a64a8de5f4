"""``docs/reproduce.md``: everything that is known of the papers' tables and figures, as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from limpid.bench.datasets import DATASETS, NEVER_RELEASED
from limpid.bench.papers import PAPERS
from limpid.bench.papers.columns import COLUMNS, NOT_HERE, columns_of
from limpid.bench.papers.costs import (
    GPU_FACTOR,
    TrainingStage,
    hours_text,
    network_of,
    row_hours,
    training_hours,
)
from limpid.bench.papers.kinds import Paper, PaperPart, PaperRow
from limpid.bench.papers.listing import run_command, weights_of
from limpid.bench.papers.others import OTHERS
from limpid.bench.papers.variants import latents_command, training_command
from limpid.bench.published import published
from limpid.checkpoints.manifest import ENTRIES
from limpid.metrics.catalogue import METRICS

_HEAD = f"""# The papers' tables and figures

`limpid bench paper` lists the tables and figures of the four papers, says what of each is on this machine, runs what
can be run, and puts our numbers beside the printed ones. This page is made of the same list.

```sh
limpid bench paper              # all tables and figures
limpid bench paper dc-vsr 2     # what it takes, what of it is here
limpid bench paper --markdown   # this page
```

<!-- not run: needs data sets and weights -->
```sh
limpid bench paper dc-vsr 2 --root REDS --out runs/dc2                       # run it; the same command goes on
limpid bench paper dc-vsr 2 --dataset folder --root CLIPS --out runs/dc2     # on clips of your own
limpid bench paper dc-vsr 2 --row SAP --row TAP --root REDS --out runs/dc2   # some of its rows
```

**Nothing here has been reproduced yet**: no released weights and none of the data sets were at hand. What was tried is
that the commands run, on generated weights. Numbers of the papers do not compare with ours even on the same clips,
because no paper released its low-quality frames; see [benchmarks.md](benchmarks.md).

**Time** is that of one A100, estimated, for the part that restores; metrics, reading and writing are not in it. One
call of each network was measured on one thread of a processor ([performance.md](performance.md)); MGLD-VSR's Table 6
says what an A100 takes for that method, which is {GPU_FACTOR:.0f} times less than the same parts take here; that factor
is taken for all methods, with their windows, tiles and steps. So these times may be off by a factor of two. A training
step counts as four forward calls of its network; critics, LPIPS and the making of clips are left out. DC-VSR's decoder
was not measured and is left out. Clips of VideoLQ differ in size: its times are the most they can be.

**Weights of your own** are looked for in `trained/RECIPE/final` (`--trained`), where the training commands below put
them. Rows that need a training of their own say so; their weights were never released. What the method itself needs is
looked for where `limpid weights convert` puts it (`WEIGHTS` below), or in `--weights DIR`. Decoders of Upscale-A-Video
and MGLD-VSR learn from latents of the denoiser, which one command makes beforehand; see [training.md](training.md).
"""


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """A data set to train on, in words."""

    name: str
    what: str
    licence: str
    where: str


class ClipsLike(Protocol):
    """What is asked of the clips of a stage."""

    @property
    def frames(self) -> int: ...
    @property
    def crop_px(self) -> int: ...


class StageLike(Protocol):
    """What is asked of a stage of a recipe (`limpid.train.stage.Stage`)."""

    @property
    def steps(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def clips(self) -> ClipsLike: ...


StagesOf = Callable[[str], Sequence[StageLike]]
"""Name of a recipe -> its stages."""


def reproduce_page(training_sets: Sequence[TrainingSet], stages_of: StagesOf) -> str:
    """The whole page as Markdown."""
    parts = [_HEAD, _data(training_sets), _weights(), _metrics(), _others()]
    parts += ["\n".join(_paper(paper, stages_of)) for paper in PAPERS.values()]
    return "\n".join(parts).rstrip() + "\n"


def _grid(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows) + "\n"


# ------------------------------------------------------------------------------------------ what is needed


def _data(training_sets: Sequence[TrainingSet]) -> str:
    measured = [
        (name, f"{d.title}: {d.clips} clips" + (f"; {d.note}" if d.note else ""), d.licence, d.where)
        for name, d in DATASETS.items()
        if name != "folder"
    ]
    trained = [(each.name, each.what, each.licence, each.where) for each in training_sets]
    never = "; ".join(NEVER_RELEASED.values())
    return (
        "## Data\n\n"
        + _grid(("to measure on", "what", "licence", "from"), measured)
        + f"\nNobody can have: {never}; VAE-VAL5 and the choice of YouHQ10 (DiffVSR) neither.\n\n"
        + _grid(("to train on", "what", "licence", "from"), trained)
    )


def _weights() -> str:
    used = dict.fromkeys(name for paper in PAPERS.values() for name in _entries(paper))
    lines = [(f"`{name}`", ENTRIES[name].title, ENTRIES[name].licence, ENTRIES[name].page) for name in used]
    return "## Weights\n\n" + _grid(("name", "what", "licence", "from"), lines)


def _entries(paper: Paper) -> Iterator[str]:
    for part in paper.parts:
        yield from weights_of(part)
    for name in [*weights_of_paper(paper), *(start for _, start in paper.training if start in ENTRIES)]:
        yield from (name, *ENTRIES[name].needs)


def weights_of_paper(paper: Paper) -> list[str]:
    """Names of the catalogue of weights that any table of a paper needs."""
    return list(dict.fromkeys(name for part in paper.parts for name in weights_of(part)))


def _metrics() -> str:
    used = dict.fromkeys(number.metric for number in published())
    lines = []
    for name in used:
        if name not in COLUMNS:
            lines.append((name, "-", NOT_HERE[name], ""))
            continue
        column = COLUMNS[name]
        metric = METRICS[column.metric]
        ours = f"`{column.metric}`" + (f", `{column.without_truth}` without truth" if column.without_truth else "")
        times = f", times {column.factor:g}" if column.factor != 1 else ""
        lines.append((name, ours + times, column.differs or "as printed, as far as papers say", metric.licence))
    return (
        "## Columns\n\nWhat the papers' columns are measured by here. Files of learned metrics go into `metrics/` in "
        "the folder of weights; [metrics.md](metrics.md) has definitions and names.\n\n"
        + _grid(("printed as", "here", "differs", "licence"), lines)
    )


def _others() -> str:
    lines = [(name, other.where, other.licence) for name, other in OTHERS.items()]
    return (
        "## Methods of other people\n\nThey stand in tables of comparison, and are no part of Limpid. Run them on the "
        "frozen frames in `RUN/lr`; `limpid compare OURS THEIRS --ref GT --metrics ...` measures what they make.\n\n"
        + _grid(("method", "from", "licence"), lines)
    )


# ------------------------------------------------------------------------------------------ a paper


def _paper(paper: Paper, stages_of: StagesOf) -> Iterator[str]:
    yield f"## {paper.title}\n"
    yield f"The authors trained on {', '.join(paper.trained_on)}. Weights of one's own:\n"
    yield _trainings([recipe for recipe, _ in paper.training], stages_of)
    for part in paper.parts:
        if not part.is_figure:
            yield from _part(paper, part, stages_of)
    for part in paper.parts:
        if part.is_figure and part.rows:
            yield from _part(paper, part, stages_of)
    figures = [part for part in paper.parts if part.is_figure and not part.rows]
    yield f"### Other figures of {paper.title}\n"
    lines = [(part.heading, part.title, _code(part.command) or part.note, part.missing) for part in figures]
    yield _grid(("figure", "what", "made by", "cannot be had"), lines)


def _trainings(recipes: Sequence[str], stages_of: StagesOf) -> str:
    lines: dict[str, str] = {}
    for name in recipes:
        if before := latents_command(name):
            lines.setdefault(_code(before), "")
        lines[_code(training_command(name))] = hours_text(_hours(name, stages_of))
    return _grid(("training", "one A100"), lines.items())


def _hours(recipe: str, stages_of: StagesOf) -> float | None:
    stages = [
        TrainingStage(steps=s.steps, batch=s.batch, frames=s.clips.frames, crop_px=s.clips.crop_px)
        for s in stages_of(recipe)
    ]
    return training_hours(network_of(recipe), stages)


def _part(paper: Paper, part: PaperPart, stages_of: StagesOf) -> Iterator[str]:
    yield f"### {paper.title}, {part.heading}: {part.title}\n"
    yield _code(run_command(paper, part) if part.rows else part.command) + "\n"
    if part.rows:
        yield _columns(paper, part)
        yield _rows(part)
    own = list(dict.fromkeys(row.recipe for row in part.rows if row.recipe))
    if own:
        yield _trainings(own, stages_of)
    for title, text in (("Cannot be had", part.missing), ("Note", part.note)):
        if text:
            yield f"{title}: {text}.\n"


def _columns(paper: Paper, part: PaperPart) -> str:
    numbers = [n for n in published() if n.paper == paper.title and n.table == part.heading]
    if not numbers:
        return f"Measured: {', '.join(METRICS[name].label for name in part.metrics)}; the paper prints no numbers.\n"
    sets = ", ".join(dict.fromkeys(number.dataset for number in numbers))
    return f"Printed, on {sets}: {', '.join(columns_of(numbers))}.\n"


def _rows(part: PaperPart) -> str:
    lines = [(row.label, _made_by(row), *(_cost(row, name) for name in part.datasets), row.note) for row in part.rows]
    return _grid(("row", "made by", *part.datasets, "note"), lines)


def _made_by(row: PaperRow) -> str:
    if row.other:
        return "other people"
    settings = "+".join(f"{name}={value}" for name, value in row.changes.items() if name != "weights")
    weights = f"; weights of `{row.recipe}`" if row.recipe else ""
    return f"`{row.method}{':' if settings else ''}{settings}`{weights}"


def _cost(row: PaperRow, dataset: str) -> str:
    return "" if row.other else hours_text(row_hours(row, dataset))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
