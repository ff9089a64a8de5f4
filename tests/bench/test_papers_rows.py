"""Rows of the papers' tables as runs: with weights of every method they run, and no two have the same journal."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.bench.ablation import ablation_variants
from limpid.bench.frames import write_frames
from limpid.bench.jobs import Variant
from limpid.bench.papers import PAPERS
from limpid.bench.papers.kinds import Paper, PaperPart
from limpid.bench.papers.variants import Here, paper_variants
from limpid.bench.worker import RECONSTRUCT
from limpid.checkpoints.folders import read_card, weights_digest, write_card
from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.methods import find_method
from limpid.methods.ablations import ABLATIONS
from limpid.run.events import Teller
from limpid.run.identity import input_identity
from limpid.run.places import choose_places
from limpid.run.session import make_session
from limpid.run.texts import with_captions
from limpid.settings import Settings
from limpid.types import Clip, Timeline
from limpid.video import probe, scan

LARGE = ("upscale-a-video", "diffvsr", "mgld-vsr", "dc-vsr", "sd-x4-upscaler")
PARTS = [(paper, part) for paper in PAPERS.values() for part in paper.parts if part.rows]
IDS = [f"{paper.name} {part.name}" for paper, part in PARTS]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of every large method and flow network, as ``limpid weights convert`` installs them."""
    root = tmp_path_factory.mktemp("weights")
    for name in (*LARGE, "raft-things", "spynet"):
        convert_weights(name, make_random_weights(name, "tiny", root / "official" / name), root / name)
    return root


@pytest.fixture
def installed(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMPID_WEIGHTS", str(weights))
    return weights


@pytest.fixture(scope="module")
def trained(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands in for trainings: the methods' random weights, under another hash for each recipe."""
    root = tmp_path_factory.mktemp("trained")
    for recipe in {row.recipe for _, part in PARTS for row in part.rows if row.recipe}:
        folder = root / recipe / "final"
        shutil.copytree(weights / recipe.split("/")[0], folder, copy_function=os.link)
        (folder / "limpid.json").unlink()
        card = read_card(weights / recipe.split("/")[0])
        name, facts = next(iter(card.files.items()))
        other = {**facts, "sha256": hashlib.sha256(recipe.encode()).hexdigest()}
        write_card(folder, replace(card, files={**card.files, name: other}))
    return root


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, Timeline]:
    folder = tmp_path_factory.mktemp("clip") / "frames"
    write_frames(folder, np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8))
    found = probe(folder)
    return found, scan(found, detect_cuts=False)


def facts_of(variant: Variant, clip: tuple[Clip, Timeline], folder: Path) -> str:
    """The facts that the journal of a row's run would begin with, its texts written out by a stand-in."""
    found, timeline = clip
    chosen = Settings().replace(codec="ffv1", **variant.told({"caption_model": "stand-in"}), method=variant.method)
    identity = input_identity(found)
    settings = with_captions(
        chosen, 1, identity=identity, folder=None, caption=lambda shots: dict.fromkeys(shots, "a cat")
    )
    method = find_method(settings.method, settings)
    places = choose_places(found, folder / "out.mkv", settings, None)
    session = make_session(places, settings, method, found, timeline, identity, None, Teller(None))
    return json.dumps(session.facts, sort_keys=True)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("paper", "part"), PARTS, ids=IDS)
def test_rows_have_journals_that_differ(
    paper: Paper, part: PaperPart, trained: Path, clip: tuple[Clip, Timeline], tmp_path: Path
) -> None:
    here = Here(method=paper.name, trained=trained, settings={"caption_model": "stand-in"})
    variants, not_run = paper_variants(part, here)
    assert {row.label for row in part.rows if row.other} == set(not_run)
    assert [v.label for v in variants] == [row.label for row in part.rows if row.method]
    facts = {}
    for variant in variants:
        if variant.is_method:
            facts[variant.label] = facts_of(variant, clip, tmp_path)
        elif variant.method == RECONSTRUCT:
            facts[variant.label] = weights_digest(Path(variant.changes["weights"]))
    for a, b in combinations(facts, 2):
        assert facts[a] != facts[b], f"{a} and {b} are the same run"


@pytest.mark.usefixtures("installed")
def test_rows_of_ablations_have_journals_that_differ(clip: tuple[Clip, Timeline], tmp_path: Path) -> None:
    variants, missing = ablation_variants(None, {"caption_model": "stand-in"})
    assert not missing and len(variants) == sum(map(len, ABLATIONS.values()))
    facts = [facts_of(variant, clip, tmp_path) for variant in variants]
    assert len(set(facts)) == len(facts)


def test_what_is_missing_is_said_for_each_row(tmp_path: Path) -> None:
    said: dict[str, str] = {}
    for paper in PAPERS.values():
        for part in paper.parts:
            variants, not_run = paper_variants(part, Here(method=paper.name, trained=tmp_path))
            assert {v.method for v in variants} <= {"bicubic"}
            said |= {f"{paper.name} {part.name} {label}": reason for label, reason in not_run.items()}
    assert "limpid weights convert dc-vsr" in said["dc-vsr 2 SAP"]
    assert "github.com/JingyunLiang/SwinIR" in said["dc-vsr 1 SwinIR"]
    training = "limpid train --recipe diffvsr/unet-direct --start "
    assert training in said["diffvsr 5 (1) direct"] and "nobody has released" in said["diffvsr 5 (1) direct"]
    assert all(len(reason) > 20 for reason in said.values())


@pytest.mark.usefixtures("installed")
def test_rows_can_be_chosen_and_weights_named(weights: Path, tmp_path: Path) -> None:
    part = next(part for part in PAPERS["dc-vsr"].parts if part.name == "2")
    here = Here(method="dc-vsr", weights=weights / "dc-vsr")
    variants, not_run = paper_variants(part, here, ["TAP"])
    assert not not_run and [v.label for v in variants] == ["TAP"]
    assert variants[0].changes == {"attention": "tap", "guidance": "cfg", "weights": str(weights / "dc-vsr")}
    others, _ = paper_variants(next(iter(PAPERS["dc-vsr"].parts)), here)
    assert {v.method: "weights" in v.changes for v in others} == {
        "bicubic": False, "upscale-a-video": False, "mgld-vsr": False, "dc-vsr": True
    }  # fmt: skip


def test_captions_need_a_model(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_WEIGHTS", str(weights))
    _, missing = ablation_variants(["diffvsr"], {})
    assert list(missing) == ["diffvsr: a text for each shot"]
    assert "--set caption_model=NAME" in missing["diffvsr: a text for each shot"]


def settings_told(**common: Any) -> dict[str, Any]:
    return Variant(label="x", method="tiny", changes={}).told(common)


def test_only_rows_with_captions_hear_of_the_model() -> None:
    assert settings_told(caption_model="m", steps=2) == {"steps": 2}
    with_texts = Variant(label="x", method="diffvsr", changes={"caption": "auto"})
    assert with_texts.told({"caption_model": "m"}) == {"caption_model": "m", "caption": "auto"}
