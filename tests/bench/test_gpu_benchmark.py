"""The script for GPUs at toy size on the processor: every check runs, and what was measured is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

NAMES = ("number formats", "what ships", "memory ladder", "offloading", "speed", "diffusers", "8 bits")


@pytest.fixture(scope="module")
def gpu() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        import gpu

        yield gpu


@pytest.fixture(scope="module")
def place(gpu: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return gpu.Place(device=torch.device("cpu"), toy=True, folder=tmp_path_factory.mktemp("gpu"))


def test_no_check_is_left_out(gpu: Any) -> None:
    assert tuple(gpu.CHECKS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_check_runs_at_toy_size(gpu: Any, place: Any, tmp_path: Path, name: str) -> None:
    if name == "diffusers":
        pytest.importorskip("transformers", reason="diffusers' pipeline needs transformers, which is not installed")
    sheet = gpu.Sheet(folder=tmp_path, device="cpu", facts={})
    assert gpu.run(place, sheet, {name: gpu.CHECKS[name]}, 600.0), [row.says for row in sheet.rows]
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert len(rows) == len(sheet.rows) >= 1 and {row["check"] for row in rows} == {name}
    assert (tmp_path / "gpu.md").read_text().count("\n") == len(rows) + 4


def test_what_fails_or_is_late_is_a_row_and_the_rest_is_kept(gpu: Any, place: Any, tmp_path: Path) -> None:
    def good(place: Any) -> Iterator[dict[str, Any]]:
        yield {"method": "a", "seconds": 1.0}

    def bad(place: Any) -> Iterator[dict[str, Any]]:
        yield {"method": "b"}
        raise RuntimeError("a kernel is missing")

    sheet = gpu.Sheet(folder=tmp_path, device="cpu", facts={})
    assert not gpu.run(place, sheet, {"bad": bad, "good": good}, 60.0)
    assert [row.method for row in sheet.rows] == ["b", "", "a"] and "a kernel is missing" in sheet.rows[1].says
    assert not gpu.run(place, sheet, {"good": good}, -1.0)
    assert "not run" in (tmp_path / "gpu.md").read_text()
