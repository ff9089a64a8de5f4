"""Runs in another runtime than PyTorch: stopped and resumed to the same bytes, its name in journal and sidecar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from media import make_video
from ncnn_here import needs_ncnn, needs_vulkan

from limpid.api import from_sidecar, upscale
from limpid.priors.small import SmallConfig, SmallNetwork, save_small
from limpid.priors.tiny import TinyConfig, TinyNetwork, save_tiny
from limpid.types import Interrupted


@pytest.fixture(params=["small", "tiny"])
def options(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A run of a little network of either method, cut into segments."""
    path = tmp_path / "own.safetensors"
    if request.param == "tiny":
        save_tiny(TinyNetwork(TinyConfig(channels=32, blocks=2, shifts=(1,))), path)
    else:
        save_small(SmallNetwork(SmallConfig(channels=16, layers=3, neighbours=(-1, 1))), path)
    make_video(tmp_path / "in.mkv", codec="ffv1", frames=9)
    return {
        "method": request.param,
        "weights": str(path),
        "segment_frames": 3,
        "threads": 1,
        "device": "cpu",
        "runtime": "ncnn",
    }


def stop(event: dict[str, Any]) -> None:
    if event["event"] == "segment":
        raise KeyboardInterrupt


@needs_ncnn
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(tmp_path: Path, options: dict[str, Any]) -> None:
    source, whole, output = (tmp_path / name for name in ("in.mkv", "whole.mkv", "out.mkv"))
    upscale(source, whole, **options)
    with pytest.raises(Interrupted):
        upscale(source, output, **options, on_event=stop)
    assert upscale(source, output, **options).resumed_segments
    assert output.read_bytes() == whole.read_bytes()


@needs_ncnn
def test_segments_of_another_runtime_are_not_used(tmp_path: Path, options: dict[str, Any]) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / "out.mkv"
    with pytest.raises(Interrupted):
        upscale(source, output, **options, on_event=stop)
    report = upscale(source, output, **{**options, "runtime": "torch", "dtype": "float32"})
    assert not report.resumed_segments and any("not used" in warning for warning in report.warnings)


@needs_ncnn
def test_the_sidecar_names_the_runtime_and_its_version(tmp_path: Path, options: dict[str, Any]) -> None:
    upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", **options)
    sidecar = tmp_path / "out.mkv.limpid.json"
    facts = json.loads(sidecar.read_text())
    assert facts["resolved"]["runtime"] == facts["machine"]["runtime"] == "ncnn"
    assert facts["resolved"]["dtype"] == "float32" and facts["versions"]["ncnn"]
    source, settings = from_sidecar(sidecar, trust=True)
    upscale(source, tmp_path / "again.mkv", settings=settings)
    assert (tmp_path / "again.mkv").read_bytes() == (tmp_path / "out.mkv").read_bytes()


@needs_vulkan
def test_a_run_on_a_vulkan_device(tmp_path: Path, options: dict[str, Any]) -> None:
    options = {**options, "device": "vulkan:0", "runtime": "auto"}
    upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", **options)
    facts = json.loads((tmp_path / "out.mkv.limpid.json").read_text())
    assert (facts["machine"]["device"], facts["resolved"]["runtime"]) == ("vulkan:0", "ncnn")
