"""Schedules as their files state them, and as DiffVSR and LaVie take them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.diffusion.schedules import Betas
from limpid.priors.load.schedule_config import ScheduleConfig, read_betas, read_schedule
from limpid.types import WeightsError

SD_X4 = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "trained_betas": None,
}


def write(folder: Path, values: Any) -> Path:
    (folder / "scheduler_config.json").write_text(values if isinstance(values, str) else json.dumps(values))
    return folder


def test_scaled_linear_is_linear_where_the_network_was_trained_so(tmp_path: Path) -> None:
    folder = write(tmp_path, SD_X4)
    assert read_betas(folder, force_linear=True) == Betas(start=1e-4, end=0.02, shape="linear")
    assert read_betas(folder, force_linear=False) == Betas(start=1e-4, end=0.02, shape="scaled_linear")


@pytest.mark.parametrize("shape", ["linear", "scaled_linear"])
def test_the_betas_are_those_of_diffusers(tmp_path: Path, shape: str) -> None:
    from diffusers import DDIMScheduler

    values = {**SD_X4, "beta_schedule": shape, "beta_end": 0.015, "num_train_timesteps": 500}
    oracle = DDIMScheduler.from_config(values).alphas_cumprod.numpy()
    ours = read_betas(write(tmp_path, values), force_linear=False).alphas_cumprod()
    np.testing.assert_allclose(ours, oracle, rtol=1e-5)


def test_values_and_what_is_left_out(tmp_path: Path) -> None:
    schedule = read_schedule(write(tmp_path, SD_X4))
    assert schedule == ScheduleConfig(steps_offset=1, set_alpha_to_one=False, prediction_type="v_prediction")
    assert schedule.final_alpha == "first"
    assert read_schedule(write(tmp_path, {})).final_alpha == "one"
    assert read_betas(tmp_path, force_linear=False) == Betas(start=1e-4, end=0.02, shape="linear")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("{", "damaged"),
        ("[]", "no JSON object"),
        ({"beta_schedule": "squaredcos_cap_v2"}, "not supported"),
        ({"trained_betas": [0.1]}, "one by one"),
        ({"beta_start": "x"}, "beta_start"),
        ({"beta_start": 0}, "no schedule"),
        ({"steps_offset": "1"}, "steps_offset"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, values: Any, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        read_betas(write(tmp_path, values), force_linear=False)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_schedule(tmp_path)
