"""Metrics of the comparison page: the numbers of whole clips, one source in memory or on disk at a time."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from limpid.bench.compare import catalogued
from limpid.bench.compare.catalogued import measured_charts
from limpid.bench.compare.sources import open_sources
from limpid.bench.frames import read_frames
from limpid.metrics import Clips, measure
from limpid.types import ResourceError

SPEC = importlib.util.spec_from_file_location("limpid_comparing", Path(__file__).with_name("comparing.py"))
assert SPEC and SPEC.loader
comparing: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(comparing)

NAMES = ["psnr", "m2-coherent", "vbench-flickering"]


def test_charts_are_those_of_whole_clips_and_one_source_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = comparing.clips(tmp_path)
    sources = open_sources(
        [str(files["blurred"]), str(files["faulty"])], reference=str(files["truth"]), lr=str(files["small"])
    )
    alive: list[list[str]] = []

    def watched(names, what):  # type: ignore[no-untyped-def]
        assert isinstance(what.sr, np.memmap)
        alive.append(sorted(path.name for path in Path(what.sr.filename).parent.iterdir()))
        return measure(names, what)

    monkeypatch.setattr(catalogued, "measure", watched)
    charts = measured_charts(sources, NAMES)
    assert alive == [["0.rgb"], ["0.rgb", "1.rgb"], ["0.rgb", "2.rgb"], ["0.rgb", "3.rgb"]]
    truth, lr = read_frames(files["truth"])[0], read_frames(files["small"])[0]
    for number, name in ((1, "blurred"), (2, "faulty")):
        expected = measure(NAMES, Clips(sr=read_frames(files[name])[0], gt=truth, lr=lr))
        for chart, metric in zip(charts, NAMES, strict=True):
            assert chart.means[number] == str(expected[metric])
    assert len(charts[0].curves[1] or ()) == comparing.FRAMES and charts[0].means[0] == "–"


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = comparing.clips(tmp_path)
    sources = open_sources([str(files["truth"]), str(files["blurred"])])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(ResourceError, match="TMPDIR"):
        measured_charts(sources, ["vbench-flickering"])
    assert measured_charts(sources, []) == []
