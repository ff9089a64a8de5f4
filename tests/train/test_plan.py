from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from limpid.train.plan import plan_stage
from limpid.train.recipes import find_recipe
from limpid.train.stage import Start
from limpid.types import SettingsError

from .toy import STAGE, ToyObjective

START = Start(device=torch.device("cpu"), seed=0)


def test_memory_is_weights_gradients_two_states_and_the_average() -> None:
    stage = replace(STAGE, objective=ToyObjective(critic=True), trainable=("temporal",), source="a paper")
    plan = plan_stage(stage, START)
    assert plan.learning == {"temporal": 30} and plan.frozen == {"spatial": 12} and plan.others == {"critic": 4}
    assert plan.memory_bytes == 4 * (4 * (30 + 4) + 30 + 12)
    assert plan_stage(replace(stage, average=None), START).memory_bytes == 4 * (4 * 34 + 12)
    text = "\n".join(plan.lines())
    for words in ("temporal 30", "spatial 12", "critic: 4", "12 of 4 clips: 48 clips", "a paper"):
        assert words in text
    with pytest.raises(SettingsError, match="kind 'x'"):
        plan_stage(replace(stage, trainable=("x",)), START)


def test_an_objective_can_say_its_sizes_without_a_network() -> None:
    @dataclass(frozen=True)
    class Large:
        def parameter_table(self) -> dict[str, int]:
            return {"spatial": 10**12, "temporal": 5}

    plan = plan_stage(replace(STAGE, objective=Large(), trainable=("temporal",)), START)  # type: ignore[arg-type]
    assert plan.learning == {"temporal": 5} and plan.memory_bytes == 4 * (4 * 5 + 5 + 10**12)


def test_the_plan_of_the_full_unet_has_the_published_number() -> None:
    """The published one counts the rotary frequencies too, 16 constants in each of 16 layers."""
    plan = plan_stage(find_recipe("upscale-a-video/unet").stages[0], START)
    assert sum(plan.learning.values()) == 217_638_656 - 16 * 16 and set(plan.frozen) >= {"spatial"}
