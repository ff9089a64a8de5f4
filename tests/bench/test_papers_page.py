"""``docs/reproduce.md`` is what the command prints, and its times are made of what was measured."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from limpid.bench.datasets import DATASETS
from limpid.bench.papers import PAPERS
from limpid.bench.papers.costs import (
    CALLS,
    GPU_FACTOR,
    SAMPLING,
    SET_SIZES,
    TrainingStage,
    clip_seconds,
    hours_text,
    network_of,
    training_hours,
)
from limpid.bench.published import published
from limpid.cli.main import main


def test_the_page_is_made_of_the_list(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "paper", "--markdown"]) == 0
    page = (repository / "docs" / "reproduce.md").read_text()
    assert capsys.readouterr().out == page, "limpid bench paper --markdown > docs/reproduce.md"
    for paper in PAPERS.values():
        for part in paper.parts:
            assert part.heading in page and part.title in page
            assert all(row.label in page for row in part.rows)


def test_calls_are_those_that_were_measured(repository: Path) -> None:
    text = (repository / "docs" / "performance.md").read_text()
    for name, call in CALLS.items():
        assert f"{call.seconds:g} s" in text or f"{call.seconds:.1f} s" in text, name


def test_the_gpu_is_that_of_mgld_vsr() -> None:
    found = [
        n.value for n in published() if (n.table, n.method, n.metric) == ("Table 6", "MGLD-VSR", "seconds_per_frame")
    ]
    assert found == [1.113]
    per_frame = 50 * CALLS["mgld-vsr"].seconds / 5 + CALLS["mgld-vsr decoder"].seconds / 2 * (128 / 48) ** 2
    assert pytest.approx(per_frame / 1.113) == GPU_FACTOR


def test_methods_work_as_is_counted() -> None:
    for name in ("sd_x4_upscaler", "upscale_a_video", "diffvsr"):
        member = import_module(f"limpid.methods.{name}")._MEMBER
        how = SAMPLING[member.name]
        assert (how.steps, how.window) == (member.steps, (8, 8 - member.window_overlap_frames))
    mgld, dc = SAMPLING["mgld-vsr"], SAMPLING["dc-vsr"]
    mgld_vsr, dc_vsr = (import_module(f"limpid.methods.{name}") for name in ("mgld_vsr", "dc_vsr"))
    assert (mgld.steps, mgld.window[0], mgld.tile) == (mgld_vsr._STEPS, mgld_vsr._WINDOW_FRAMES, (128, 64))
    assert (dc.steps, dc.window[0], dc.tile) == (dc_vsr._STEPS, dc_vsr._WINDOW_FRAMES, (dc_vsr._TILE_PX, 64))


def test_clips_are_those_of_the_sets() -> None:
    for name, (clips, frames, width, height) in SET_SIZES.items():
        dataset = DATASETS[name]
        assert clips == dataset.clips and dataset.frames is not None
        assert dataset.frames[0] <= frames <= dataset.frames[1]
        assert dataset.size in (None, (4 * width, 4 * height))


def test_time_follows_what_is_computed() -> None:
    tap = {"attention": "tap", "guidance": "cfg"}
    plain = clip_seconds("dc-vsr", tap, 14, 128, 128)
    assert plain == pytest.approx(25 * 2 * 296.0), "one tile and window"
    assert clip_seconds("dc-vsr", tap, 15, 128, 128) == pytest.approx(2 * plain)
    assert clip_seconds("dc-vsr", {**tap, "guidance": "pag"}, 14, 128, 128) == pytest.approx(1.5 * plain)
    assert clip_seconds("dc-vsr", {}, 14, 128, 128) == pytest.approx(1.5 * plain), "SAP collects first"
    assert clip_seconds("bicubic", {}, 100, 320, 180) == 0.0
    assert clip_seconds("something", {}, 1, 1, 1) is None
    stage = TrainingStage(steps=3600, batch=1, frames=8, crop_px=256)
    assert training_hours("diffvsr", [stage]) == pytest.approx(4 * 47.0 / GPU_FACTOR)
    assert [network_of(name) for name in ("diffvsr/unet-direct", "mgld-vsr/vae-cfw")] == ["diffvsr", "mgld-vsr decoder"]


def test_hours_in_words() -> None:
    assert [hours_text(h) for h in (None, 0.0, 0.5, 2.94, 12.4, 100.0)] == [
        "not known", "none", "30 min", "2.9 h", "12 h", "4 days"
    ]  # fmt: skip
