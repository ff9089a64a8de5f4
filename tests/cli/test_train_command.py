from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from image_networks import compact

from limpid.train.recipes import RECIPES, find_recipe
from limpid.types import SettingsError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in "ab":
        picture = cv2.resize(random.integers(0, 255, (24, 32, 3), np.uint8), (256, 192), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{name}.png"), picture)
    return folder


def test_train_resume_and_use(cli: Callable[..., Any], photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", "--recipe", "tiny", "--small", "--data", str(photos), "--out", str(run), "--workers", "0"]
    words += ["--device", "cpu", "--steps", "4", "--log-every", "2", "--validation", str(photos)]
    words += ["--validate-every", "4", "--validation-clips", "1", "--micro-batch", "1", "--keep-out", "b"]
    ran = cli(*words)
    assert ran.code == 0, ran.err
    assert ran.out.strip() == str(run / "stages/01-tiny") and "1 photo" in ran.err
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["step", "step", "validation"]
    about = json.loads((run / "run.json").read_text())
    assert about["recipe"]["stages"][0]["steps"] == 4 and "torch" in about["versions"]
    ran = cli(*words, "--batch", "3")
    assert ran.code == 2 and "begun with stage batch 2, and now it is 3" in ran.err
    from limpid.methods.tiny import tiny

    assert tiny(weights=run / "final").weights.digest() != tiny().weights.digest()


def test_small_learns_from_a_compact_network_and_is_used(cli: Callable[..., Any], photos: Path, tmp_path: Path) -> None:
    compact(tmp_path / "sharp", channels=8)
    run, words = tmp_path / "run", ["train", "--recipe", "small", "--small", "--data", str(photos), "--workers", "0"]
    words += ["--device", "cpu", "--steps", "1", "--out", str(run)]
    ran = cli(*words, "--start", str(tmp_path / "sharp"))
    assert ran.code == 0, ran.err
    ran = cli(*words, "--start", str(compact(tmp_path / "other", seed=1)))
    assert ran.code == 2 and "begun with start" in ran.err
    ran = cli(*words, "--start", str(tmp_path / "nowhere"))
    assert ran.code != 70 and "nowhere: there is no such file or folder with weights" in ran.err
    from limpid.methods.small import small

    trained = small(weights=run / "final")
    assert trained.weights.digest() != small().weights.digest() and trained.cuts.reach_frames == 1


def test_the_plan_needs_no_data_and_makes_nothing(cli: Callable[..., Any], tmp_path: Path) -> None:
    ran = cli("train", "--recipe", "tiny", "--dry-run", "--out", str(tmp_path / "run"), "--batch", "8")
    assert ran.code == 0 and not (tmp_path / "run").exists()
    assert "spatial" in ran.out and "6,000 steps of" not in ran.out
    assert "6,000 of 8 clips: 48,000 clips" in ran.out and "GB for weights, gradients" in ran.out


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_shows_its_plan_and_what_is_missing(name: str, cli: Callable[..., Any]) -> None:
    """Without weights, without clips."""
    ran = cli("train", "--recipe", name, "--dry-run")
    assert ran.code == 0, ran.err
    recipe = find_recipe(name)
    assert all(f"stage {stage.name}\n  learn " in ran.out for stage in recipe.stages)
    _, _, missing = ran.out.partition("missing\n")
    listed = [line.strip() for line in missing.splitlines()]
    assert listed == [*recipe.needs, "clips to learn from: videos, frame folders, photos or tar shards (--data)"]


def test_what_is_there_is_not_missing_and_bad_clips_are(cli: Callable[..., Any], photos: Path, tmp_path: Path) -> None:
    ran = cli("train", "--recipe", "tiny", "--dry-run", "--data", str(photos))
    assert ran.code == 0 and ran.out.endswith("nothing is missing\n")
    ran = cli("train", "--recipe", "tiny", "--dry-run", "--data", str(tmp_path / "nowhere"))
    assert ran.code == 0 and "missing\n  clips of stage tiny: " in ran.out and "nowhere" in ran.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--recipe", "nothing"], "there is no recipe 'nothing'; there are small, small/vivid, tiny"),
        (["--recipe", "tiny"], "--out is missing"),
        (["--recipe", "tiny", "--out", "run"], "--data is missing: stage tiny"),
        (["--recipe", "tiny", "--steps", "0"], "--steps 0 is too few"),
        (["--recipe", "tiny", "--validate-every", "5"], "no effect without --validation"),
        (["--recipe", "tiny", "--dry-run", "--stage", "b"], "no stage 'b'; it has tiny"),
        ([], "--recipe"),
    ],
)
def test_wrong_options_are_explained(
    cli: Callable[..., Any], words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli("train", *words)
    assert ran.code == 2 and says in ran.err


def test_recipes_are_listed(cli: Callable[..., Any]) -> None:
    ran = cli("train", "recipes")
    assert ran.code == 0 and all(name in ran.out for name in RECIPES)
    assert json.loads(cli("train", "recipes", "--json").out).keys() == RECIPES.keys()


def test_every_recipe_has_its_name_and_a_small_version() -> None:
    for name in RECIPES:
        recipe = find_recipe(name)
        assert recipe.name == name and recipe.small is not None
        assert sum(stage.steps for stage in recipe.small().stages) <= 200


def test_a_recipe_from_a_file(tmp_path: Path, cli: Callable[..., Any]) -> None:
    text = "from limpid.train.recipes.tiny import tiny_denoiser\n"
    (tmp_path / "a.py").write_text(text + "def recipe():\n    return tiny_denoiser()\n")
    (tmp_path / "b.py").write_text(text + "RECIPE = tiny_denoiser()\n")
    (tmp_path / "c.py").write_text(text)
    assert find_recipe(str(tmp_path / "a.py")).name == find_recipe(str(tmp_path / "b.py")).name == "tiny"
    with pytest.raises(SettingsError, match="neither RECIPE nor a function recipe"):
        find_recipe(str(tmp_path / "c.py"))
    with pytest.raises(SettingsError, match="no such file"):
        find_recipe(str(tmp_path / "d.py"))


def test_prepare_is_there(cli: Callable[..., Any]) -> None:
    ran = cli("train", "prepare", "--help")
    assert ran.code == 0 and "--degradation" in ran.out
