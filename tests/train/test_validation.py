from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
import torch

from limpid.train.learner import ClipBatch
from limpid.train.loop import train
from limpid.train.validation import Validation, clip_metrics

from .toy import ToyClips, log, toy_run


def test_pictures_and_metrics_come_from_the_averaged_weights(tmp_path: Path) -> None:
    looked = Validation(source=ToyClips(), device=torch.device("cpu"), every=6, clips=2)
    events: list[dict[str, object]] = []
    run = {"open_validation": lambda stage: looked, "on_event": events.append}
    train(toy_run(tmp_path, run=run))
    train(toy_run(tmp_path / "blind"))
    lines = [line for line in log(tmp_path) if line["kind"] == "validation"]
    assert [line["step"] for line in lines] == [6, 12]
    assert lines[1]["metrics"]["psnr:restored"] > lines[0]["metrics"]["psnr:restored"]
    assert lines[1]["metrics"]["psnr:bicubic"] == lines[0]["metrics"]["psnr:bicubic"]
    names = sorted(path.name for path in (tmp_path / "validation").iterdir())
    assert names == [f"toy-{step:07d}-{clip}.png" for step in (6, 12) for clip in (0, 1)]
    assert cv2.imread(str(tmp_path / "validation" / names[0])).shape == (8, 24, 3)
    assert any("psnr:restored" in str(event.get("message")) for event in events)
    states = [path / "final/toy.safetensors" for path in (tmp_path, tmp_path / "blind")]
    assert states[0].read_bytes() == states[1].read_bytes(), "looking must change nothing"
    assert json.dumps(lines)


def test_metrics_know_the_truth() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    frames = [0.5 + 0.3 * torch.sin((x + 2 * n) / 1.5) * torch.sin(y / 1.7) for n in range(3)]
    hr = torch.stack(frames)[:, None].expand(3, 3, 64, 64)[None]
    soft = torch.nn.functional.interpolate(hr[0], scale_factor=0.25, mode="area")[None]
    batch = ClipBatch(numbers=(0,), hr=hr, lr=soft, captions=("",), keys=("",))
    found = clip_metrics(batch, torch.full_like(hr, 0.5), hr)
    assert found["psnr:restored"] == float("inf") and found["psnr:bicubic"] < 25
    if "coherent detail:truth" in found:
        assert found["coherent detail:restored"] == pytest.approx(found["coherent detail:truth"])
        assert found["coherent detail:bicubic"] == pytest.approx(0, abs=1e-3)
