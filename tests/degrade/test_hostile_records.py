"""A ``.degraded.json`` may come from anyone: only what a pipeline draws is applied (kind K)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limpid.degrade.drawing import draw
from limpid.degrade.files import read_record
from limpid.degrade.pipelines import PIPELINES
from limpid.types import InputError


def record(pipeline: str) -> dict[str, Any]:
    return draw(PIPELINES[pipeline], num_frames=3, height=48, width=64, seed=0, scale=2).to_json()


def write(path: Path, values: Any) -> Path:
    path.write_text(json.dumps({"degradation": values}))
    return path


@pytest.mark.parametrize("pipeline", sorted(PIPELINES))
def test_what_every_pipeline_draws_is_read_back(pipeline: str, tmp_path: Path) -> None:
    values = json.loads(json.dumps(record(pipeline)))
    assert json.loads(json.dumps(read_record(write(tmp_path / "x", values)).to_json())) == values


ODD: list[Any] = [-1, 0, 10**30, 1e308, "x", None, [], [None], {}, "9" * 5000, [[1, 2, 3]], [-1, -1, -1]]


@pytest.mark.parametrize("value", ODD, ids=str)
def test_no_odd_value_of_a_step_gets_through(value: Any, tmp_path: Path) -> None:
    """Whatever is still read must be a value of the right kind."""
    steps = record("realbasicvsr")["steps"]
    for number, step in enumerate(steps):
        for name in step:
            values = record("realbasicvsr")
            values["steps"] = [dict(each) for each in values["steps"]]
            values["steps"][number][name] = value
            try:
                read_record(write(tmp_path / "x", values))
            except InputError:
                continue
            assert isinstance(value, int) or name in ("mode", "scale"), (step["op"], name)


@pytest.mark.parametrize("name", ["num_frames", "source", "target", "steps", "scale", "seed", "pipeline", "format"])
@pytest.mark.parametrize("value", [None, -1, "x" * 1000, [[]], {"a": 1}, 1e308], ids=str)
def test_no_odd_value_of_a_record_gets_through(name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not the record"):
        read_record(write(tmp_path / "x", {**record("realbasicvsr"), name: value}))
