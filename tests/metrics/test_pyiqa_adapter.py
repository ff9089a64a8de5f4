"""Metrics of pyiqa, with a stand-in of it: what is asked of it, its absence, its failures, and that it stays silent."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from limpid.metrics import Clips, measure, pyiqa_adapter
from limpid.metrics.pyiqa_adapter import HOW_TO_INSTALL

FILES = {
    "nrqm": "NRQM_model.mat",
    "musiq": "musiq_koniq_ckpt-e95806b9.pth",
    "clipiqa-official": "RN50.pt",
    "clipiqa-pyiqa": "RN50.pt",
}
FRAMES = np.stack([np.full((16, 20, 3), level, np.uint8) for level in (0, 51, 255)])


class Judge(nn.Module):
    """Says the mean of a picture times what was loaded, and notes how it was made."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        super().__init__()
        print(f"Loading pretrained model {name}")
        self.asked = (name, options)
        self.net = nn.Linear(1, 1, bias=False)
        self.net.prompt_pairs = None

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        assert picture.shape == (1, 3, 16, 20) and picture.min() >= 0 and picture.max() <= 1
        return picture.mean() * self.net.weight[0, :1]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Judge]:
    """A stand-in of pyiqa is installed; the judges that it made."""
    judges: list[Judge] = []

    def create_metric(name: str, **options: Any) -> Judge:
        judges.append(Judge(name, options))
        return judges[-1]

    package = ModuleType("pyiqa")
    package.create_metric = create_metric  # type: ignore[attr-defined]
    clip = ModuleType("clip")
    clip.tokenize = lambda texts: ("tokens of", *texts)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyiqa", package)
    monkeypatch.setitem(sys.modules, "clip", clip)
    monkeypatch.setattr(pyiqa_adapter, "pyiqa_installed", lambda: True)
    pyiqa_adapter._judge.cache_clear()
    return judges


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES.values():
        (tmp_path / name).write_bytes(b"weights")
    torch.save({"module.weight": torch.tensor([[10.0]])}, tmp_path / FILES["musiq"])
    return tmp_path


def test_each_judge_gets_the_local_file(made: list[Judge], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(FILES, Clips(FRAMES), folder)
    path = {name: str(folder / file) for name, file in FILES.items()}
    assert [judge.asked for judge in made] == [
        ("nrqm", {"device": "cpu", "pretrained_model_path": path["nrqm"]}),
        ("musiq", {"device": "cpu", "pretrained": False}),
        ("clipiqa", {"device": "cpu", "backbone": path["clipiqa-official"]}),
        ("clipiqa", {"device": "cpu", "backbone": path["clipiqa-pyiqa"]}),
    ]
    assert [judge.net.prompt_pairs for judge in made] == [None, None, ("tokens of", "Good photo.", "Bad photo."), None]
    assert found["musiq"].per_frame == pytest.approx([0, 2, 10])
    assert found["musiq"].value == pytest.approx(4)
    assert all(answer.value is not None for answer in found.values())
    assert not capsys.readouterr().out


def test_a_judge_is_loaded_once_for_a_file(made: list[Judge], folder: Path) -> None:
    for _ in range(3):
        measure(["musiq"], Clips(FRAMES), folder)
    assert len(made) == 1
    torch.save({"weight": torch.tensor([[1.0]])}, folder / FILES["musiq"])
    assert measure(["musiq"], Clips(FRAMES[2:]), folder)["musiq"].value == pytest.approx(1)


@pytest.mark.usefixtures("made")
def test_wrong_weights_are_a_reason(folder: Path) -> None:
    torch.save({"bias": torch.zeros(3)}, folder / FILES["musiq"])
    assert "pyiqa cannot load" in str(measure(["musiq"], Clips(FRAMES), folder)["musiq"])
    (folder / FILES["musiq"]).write_bytes(b"no pickle")
    assert str(measure(["musiq"], Clips(FRAMES), folder)["musiq"]).startswith("n/a: ")


@pytest.mark.parametrize("name", FILES)
def test_without_pyiqa_there_is_a_sentence(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    monkeypatch.setattr(pyiqa_adapter, "pyiqa_installed", lambda: False)
    pyiqa_adapter._judge.cache_clear()
    assert str(measure([name], Clips(FRAMES), folder)[name]) == f"n/a: {HOW_TO_INSTALL}"
    (folder / FILES[name]).unlink()
    said = str(measure([name], Clips(FRAMES), folder)[name])
    assert FILES[name] in said and f"not found in {tmp_path}; {HOW_TO_INSTALL}" in said


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("operator torchvision::nms does not exist"), "cannot be loaded: operator"),
        (ModuleNotFoundError("No module named 'timm'", name="timm"), "lacks a package that it needs"),
    ],
)
def test_a_broken_pyiqa_is_a_reason(error: Exception, says: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *rest: Any) -> None:
            if name == "pyiqa":
                raise error

    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "pyiqa", raising=False)
    monkeypatch.setattr(pyiqa_adapter, "pyiqa_installed", lambda: True)
    pyiqa_adapter._judge.cache_clear()
    assert says in str(measure(["nrqm"], Clips(FRAMES), folder)["nrqm"])
