"""Students learn from weights that were trained for their method, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from limpid.train.recipes import find_recipe
from limpid.train.stage import Start
from limpid.train.starts.random import random_converted
from limpid.types import LimpidError, SettingsError, WeightsError


def learn_from(weights: Path | None) -> None:
    (stage,) = find_recipe("upscale-a-video/few-step").stages
    stage.objective.learner(Start(device=torch.device("cpu"), seed=0, weights=weights), stage)


@pytest.mark.parametrize(
    ("teacher", "error", "says"),
    [
        (None, SettingsError, "give --start with trained weights of upscale-a-video"),
        ("sd-x4-upscaler", WeightsError, "learns from trained weights of upscale-a-video"),
        ("upscale-a-video", WeightsError, "random numbers, from which a student learns nothing"),
    ],
)
def test_an_untrained_teacher_is_refused(
    teacher: str | None, error: type[LimpidError], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        learn_from(None if teacher is None else random_converted(teacher, tmp_path))


def test_a_trial_may_have_one() -> None:
    recipe = find_recipe("upscale-a-video/few-step")
    assert recipe.small is not None
    (trial,) = recipe.small().stages
    assert trial.objective.untrained and not recipe.stages[0].objective.untrained  # type: ignore[attr-defined]
