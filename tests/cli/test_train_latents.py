"""Latents of a denoiser for a decoder's training, by the commands: made, stopped, gone on with, taken, refused."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from limpid.train import latents_run
from limpid.train.latents_run import check_stored, latent_stage, read_latents_card, with_latents
from limpid.train.recipes import find_recipe, small_recipe
from limpid.train.starts.random import random_converted, random_start
from limpid.types import InputError, SettingsError

PAIRS = 4
WEIGHTS = {"upscale-a-video/vae": random_start, "mgld-vsr/vae": lambda folder: random_converted("mgld-vsr", folder)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("weights")

    def of(recipe: str) -> Path:
        folder = root / recipe.partition("/")[0]
        return folder / "converted" if folder.exists() else WEIGHTS[recipe](folder)

    return of


@pytest.fixture
def pairs(cli: Callable[..., Any], tmp_path: Path) -> Path:
    """Prepared pairs of the size that both small recipes train on."""
    (tmp_path / "photos").mkdir()
    coarse = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC))
    words = ["--count", str(PAIRS), "--frames", "2", "--crop", "32", "--degradation", "complex", "--workers", "0"]
    ran = cli("train", "prepare", str(tmp_path / "photos"), str(tmp_path / "pairs"), *words)
    assert ran.code == 0, ran.err
    return tmp_path / "pairs"


class Stops:
    """Stands before a function and ends the run instead of calling it once more than ``calls`` times."""

    def __init__(self, function: Callable[..., Any], calls: int) -> None:
        self.function, self.left = function, calls

    def __call__(self, *given: Any, **named: Any) -> Any:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self.function(*given, **named)


def stopped_train(cli: Callable[..., Any], words: list[str], run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training until a signal comes in its third step."""
    from limpid.train import stage_run

    step = stage_run.StageRun._step

    def interrupted(self: Any, *given: Any) -> None:
        if self.done == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        step(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(stage_run.StageRun, "_step", interrupted)
        assert cli(*words, "--out", str(run)).code != 0
    assert json.loads((run / "state.json").read_text())["step"] == 3


@pytest.mark.parametrize("recipe", WEIGHTS)
def test_latents_then_the_decoder_each_stopped_once(
    recipe: str,
    cli: Callable[..., Any],
    pairs: Path,
    weights: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, folder = tmp_path / "latents", str(weights(recipe))
    words = ["train", "latents", "--recipe", recipe, "--small", "--data", str(pairs), "--weights", folder]
    words += ["--steps", "2", "--device", "cpu", "--threads", "1", "--out"]
    with monkeypatch.context() as patch:
        patch.setattr(latents_run, "denoiser", Stops(latents_run.denoiser, calls=2))
        assert cli(*words, str(made)).code == 130
    assert len(list(made.glob("*.safetensors"))) == 2 and not read_latents_card(made).finished
    train = ["train", "--recipe", recipe, "--small", "--start", folder, "--data", str(pairs), "--latents", str(made)]
    train += ["--workers", "0", "--device", "cpu", "--threads", "1", "--batch", "1", "--steps", "4", "--log-every", "4"]
    ran = cli(*train, "--out", str(tmp_path / "early"))
    assert ran.code == 3 and "is not finished" in ran.err
    ran = cli(*words, str(made))
    assert ran.code == 0 and "2 latents were made now" in ran.err and f"{PAIRS} of {PAIRS} clips" in ran.err
    assert cli(*words, str(tmp_path / "whole")).code == 0
    files = sorted(path.name for path in made.iterdir())
    assert all((made / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in files)
    assert len(files) == PAIRS + 1, "one for each pair, and the card"

    stopped_train(cli, train, tmp_path / "run", monkeypatch)
    for run in (tmp_path / "run", tmp_path / "straight"):
        ran = cli(*train, "--out", str(run))
        assert ran.code == 0 and f"latents are those in {made}" in ran.err, ran.err
    results = [sorted((tmp_path / run / "final").rglob("*.safetensors")) for run in ("run", "straight")]
    assert len(results[0]) > 1
    for one, other in zip(*results, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_what_does_not_go_together_is_refused(
    cli: Callable[..., Any], pairs: Path, weights: Callable[[str], Path], tmp_path: Path
) -> None:
    recipe, folder = "upscale-a-video/vae", str(weights("upscale-a-video/vae"))
    words = ["train", "latents", "--recipe", recipe, "--data", str(pairs), "--weights", folder, "--device", "cpu"]
    ran = cli(*words, "--out", str(tmp_path / "latents"))
    assert ran.code == 3 and "has frames 2; stored latents need prepared pairs with frames 8" in ran.err
    ran = cli(*words, "--small", "--steps", "1", "--out", str(pairs))
    assert ran.code == 2 and "holds something else than latents" in ran.err
    card = {"method": "x", "weights": "", "steps": 1, "seed": 0, "clips": "", "count": 1, "finished": True}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "latents.json").write_text(json.dumps(card))
    (tmp_path / "old" / "1.safetensors").write_bytes(b"")
    ran = cli(*words, "--small", "--steps", "1", "--out", str(tmp_path / "old"))
    assert ran.code == 2 and "was begun with method x, not sd-x4-upscaler" in ran.err
    with pytest.raises(SettingsError, match="learns from no latents"):
        latent_stage(find_recipe("upscale-a-video/unet"))
    small = with_latents(small_recipe(find_recipe(recipe)), tmp_path / "old")
    assert not small.stages[0].clips.flips
    with pytest.raises(InputError, match="latents of other clips"):
        check_stored(small.stages[0], pairs)
    with pytest.raises(InputError, match=r"no prepared\.json"):
        check_stored(small.stages[0], tmp_path)
    check_stored(replace(small.stages[0], objective=find_recipe(recipe).stages[0].objective), tmp_path)
