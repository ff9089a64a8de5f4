"""The papers' tables and figures as data: complete, true to what is published, and made of things that exist."""

from __future__ import annotations

import re
import shlex
from itertools import combinations
from pathlib import Path

import pytest

from limpid.bench.datasets import DATASETS
from limpid.bench.papers import PAPERS, find_paper, find_part
from limpid.bench.papers.beside import metrics_of, numbers_of
from limpid.bench.papers.columns import COLUMNS, NOT_HERE
from limpid.bench.papers.kinds import Paper, PaperPart
from limpid.bench.papers.others import OTHERS
from limpid.bench.papers.variants import latents_command, start_of, training_command
from limpid.bench.published import published
from limpid.bench.worker import BASELINES, RECONSTRUCT
from limpid.checkpoints.manifest import ENTRIES
from limpid.cli.parser import parse
from limpid.cli.train import make_parser as train_parser
from limpid.methods import METHODS
from limpid.metrics.catalogue import METRICS
from limpid.settings import Settings
from limpid.train.data.layouts import LAYOUTS
from limpid.train.recipes import RECIPES, find_recipe
from limpid.types import SettingsError

PARTS = [(paper, part) for paper in PAPERS.values() for part in paper.parts]
IDS = [f"{paper.name} {part.name}" for paper, part in PARTS]
COUNTS = {"upscale-a-video": (2, 7), "mgld-vsr": (6, 15), "diffvsr": (6, 12), "dc-vsr": (3, 12)}
"""Tables and figures of each."""
TWICE = {"MGLD loss (d) L_diff+L_swc"}
"""The same run as another row of its table, printed on both sides of it."""


def test_every_table_and_figure_is_there() -> None:
    assert list(PAPERS) == list(COUNTS)
    for name, (tables, figures) in COUNTS.items():
        names = [str(n) for n in range(1, tables + 1)] + [f"fig{n}" for n in range(1, figures + 1)]
        assert sorted(part.name for part in PAPERS[name].parts) == sorted(names)


def test_every_caption_of_the_papers_has_its_part(repository: Path) -> None:
    folder = repository / "../shared/papers"
    if not folder.is_dir():
        pytest.skip("the papers are not on this machine")
    for paper in PAPERS.values():
        text = (folder / f"{paper.name.replace('-', '_')}.md").read_text().replace("*", "").replace(r"$\bf", "")
        captions = re.findall(r"^\W*(Table|Fig\.|Figure)\W*(\d+)\W?[:.]", text, re.MULTILINE)
        assert len(set(captions)) >= 9
        for kind, number in captions:
            find_part(paper, f"{kind} {number}")


@pytest.mark.parametrize(("paper", "part"), PARTS, ids=IDS)
def test_a_part_is_made_of_what_there_is(paper: Paper, part: PaperPart) -> None:
    assert part.title and (part.rows or part.command or part.missing or part.note)
    assert len({row.label for row in part.rows}) == len(part.rows)
    assert set(part.datasets) <= set(DATASETS) - {"folder"} and bool(part.rows) == bool(part.datasets)
    assert set(part.metrics) <= set(METRICS)
    for row in part.rows:
        assert bool(row.method) != bool(row.other)
        assert not row.other or row.other in OTHERS
        assert not row.recipe or row.recipe in RECIPES
        if row.method and row.method not in (*BASELINES, RECONSTRUCT):
            assert row.method in METHODS
            Settings().replace(method=row.method, **row.changes)


@pytest.mark.parametrize(("paper", "part"), PARTS, ids=IDS)
def test_no_two_rows_are_the_same_run(paper: Paper, part: PaperPart) -> None:
    runs = {row.label: (row.method, row.other, row.recipe, dict(row.changes)) for row in part.rows}
    for a, b in combinations(runs, 2):
        assert runs[a] != runs[b], (a, b)


@pytest.mark.parametrize(("paper", "part"), PARTS, ids=IDS)
def test_rows_and_columns_are_those_that_the_paper_prints(paper: Paper, part: PaperPart) -> None:
    here = [n for n in published() if (n.paper, n.table) == (paper.title, part.heading)]
    if not part.rows:
        return
    named = {row.published for row in part.rows} - {""}
    assert not here or named == {n.method for n in here} - TWICE
    assert {n.metric for n in here} <= {*COLUMNS, *NOT_HERE}
    for name in part.datasets:
        wanted = metrics_of(paper, part, name, has_truth=DATASETS[name].has_truth)
        assert wanted and set(wanted) <= set(METRICS)
    assert here or part.metrics


def test_every_published_table_has_a_part() -> None:
    for paper, table in {(n.paper, n.table) for n in published()} - {("DiffVSR", "user study")}:
        (found,) = [each for each in PAPERS.values() if each.title == paper]
        find_part(found, table)


def test_numbers_are_those_of_the_set_that_was_run_where_there_are_some() -> None:
    paper = find_paper("dc-vsr")
    one, two = find_part(paper, "1"), find_part(paper, "Table 2")
    assert {n.dataset for n in numbers_of(paper, one, "udm10")} == {"UDM10"}
    assert {n.dataset for n in numbers_of(paper, one, "folder")} == {"REDS4"}
    assert {n.dataset for n in numbers_of(paper, two, "folder")} == {"REDS4"}
    assert {n.dataset for n in numbers_of(find_paper("diffvsr"), find_part(find_paper("diffvsr"), "3"), "youhq40")} == {
        "YouHQ10"
    }
    assert find_part(paper, "Fig. 11") is find_part(paper, "fig11")
    with pytest.raises(SettingsError, match="no table or figure"):
        find_part(paper, "9")
    with pytest.raises(SettingsError, match="no paper"):
        find_paper("tiny")


def test_trainings_start_from_what_there_is() -> None:
    own = [row.recipe for _, part in PARTS for row in part.rows if row.recipe]
    for recipe in dict.fromkeys([*own, *(name for paper in PAPERS.values() for name, _ in paper.training)]):
        start = start_of(recipe)
        assert start in RECIPES or start in ENTRIES, recipe
        assert find_recipe(recipe).small is not None
        told = parse(train_parser(), shlex.split(training_command(recipe))[2:])
        assert told.recipe == recipe and told.out == f"trained/{recipe}"
        latents = shlex.split(latents_command(recipe))
        assert bool(latents) == (told.latents is not None) == ("/vae" in recipe and not recipe.startswith("diffvsr"))
        assert not latents or latents[:3] == ["limpid", "train", "latents"]
    for paper in PAPERS.values():
        assert [start_of(recipe) for recipe, _ in paper.training] == [start for _, start in paper.training]
        assert {name.lower() for name in paper.trained_on} <= set(LAYOUTS)


def test_the_recipes_of_one_table_teach_different_things() -> None:
    for paper, part in PARTS:
        recipes = list(dict.fromkeys(row.recipe for row in part.rows if row.recipe))
        taught = {
            name: [(s.objective, s.trainable, s.clips, s.steps) for s in find_recipe(name).stages] for name in recipes
        }
        for a, b in combinations(recipes, 2):
            assert taught[a] != taught[b], (paper.name, part.name, a, b)
