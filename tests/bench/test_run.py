"""Runs: one row per clip and method, frozen inputs, going on after a crash, failures as rows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from limpid.bench.datasets import find_dataset
from limpid.bench.frames import pixel_hash, read_frames, write_frames
from limpid.bench.freeze import clip_seed
from limpid.bench.jobs import JobOutcome, Variant
from limpid.bench.report import spreadsheet
from limpid.bench.rows import Row, RowValue, append_row, drop_torn_line, read_rows
from limpid.bench.run import DEFAULT_METRICS, Bench, choose_metrics, run_bench
from limpid.bench.sections import make_section
from limpid.bench.worker import do
from limpid.metrics import METRICS as CATALOGUE
from limpid.types import InputError, SettingsError

Make = Callable[..., Bench]
Fake = Callable[..., Any]


def quiet(event: dict[str, Any]) -> None:
    return None


def test_a_run_has_one_row_per_clip_and_method(make_bench: Make, fake: Fake) -> None:
    events: list[dict[str, Any]] = []
    rows = run_bench(make_bench(), events.append, upscale=fake())
    assert [(row.clip, row.method) for row in rows] == [
        (clip, method) for clip in ("boat", "car", "tree") for method in ("sharp", "soft")
    ]
    sharp, soft = rows[0], rows[1]
    assert sharp.values["psnr"].value > soft.values["psnr"].value
    assert (sharp.frames, sharp.width, sharp.height) == (4, 64, 64)
    assert sharp.seconds_per_frame == 0.25 and sharp.peak_bytes == 2**30
    assert sharp.lr_sha256 == soft.lr_sha256 != rows[2].lr_sha256
    assert events[0]["rows"] == 6
    assert [event["done"] for event in events[1:]] == [1, 2, 3, 4, 5, 6] and events[-1]["eta_s"] == 0


def test_an_interrupted_run_goes_on_and_gives_the_same_table(make_bench: Make, fake: Fake, tmp_path: Path) -> None:
    run_bench(make_bench("whole"), quiet, upscale=fake())
    with pytest.raises(KeyboardInterrupt):
        run_bench(make_bench("torn"), quiet, upscale=fake(stops_after=3))
    with (tmp_path / "torn" / "rows.jsonl").open("ab") as file:
        file.write(b'{"clip": "car", "method": "so')
    upscale = fake()
    rows = run_bench(make_bench("torn"), quiet, upscale=upscale)
    assert upscale.calls == [("car", "soft"), ("tree", "sharp"), ("tree", "soft")]
    assert rows == read_rows(tmp_path / "whole")
    tables = [replace(make_section(tmp_path / name), title="run") for name in ("whole", "torn")]
    assert spreadsheet(tables[:1]) == spreadsheet(tables[1:])


TIMES = {"seconds": None, "seconds_per_frame": None, "peak_bytes": None}


def in_one_process(clips: Path, out: Path) -> Bench:
    """The run that the killed process was asked for."""
    variants = tuple(Variant(label=name, method=name, changes={}) for name in ("bicubic", "lanczos"))
    return Bench(
        dataset=find_dataset("folder"), root=clips, out=out, variants=variants, metrics=("psnr",), pipeline="bicubic"
    )


def without_a_process(
    variant: Variant, source: Path, target: Path, *, fps: str, settings: dict[str, Any]
) -> JobOutcome:
    target.parent.mkdir(parents=True, exist_ok=True)
    return JobOutcome(**do({"method": variant.method, "source": str(source), "target": str(target)}))


@pytest.mark.slow
def test_a_killed_process_goes_on_and_gives_the_same_table(clips: Path, tmp_path: Path, repository: Path) -> None:
    command = [sys.executable, "-m", "limpid", "bench", "run", "--dataset", "folder", "--root", str(clips)]
    command += ["--methods", "bicubic,lanczos", "--metrics", "psnr", "--pipeline", "bicubic", "--out"]
    env = {**os.environ, "PYTHONPATH": str(repository / "src")}
    rows = tmp_path / "killed" / "rows.jsonl"
    process = subprocess.Popen([*command, str(tmp_path / "killed")], env=env, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 60
    while not (rows.is_file() and rows.read_bytes().count(b"\n") >= 2):
        assert time.monotonic() < limit and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = rows.read_bytes()
    done = subprocess.run(
        [*command, str(tmp_path / "killed")], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    after = read_rows(tmp_path / "killed")
    assert rows.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert len(after) == 6 and not [row.error for row in after if row.error]
    assert "were done before" in done.stderr
    assert all(row.peak_bytes and row.seconds_per_frame for row in after)
    whole = run_bench(in_one_process(clips, tmp_path / "whole"), quiet, upscale=without_a_process)
    assert [replace(row, **TIMES) for row in after] == [replace(row, **TIMES) for row in whole]


def test_a_clip_that_fails_is_one_row(make_bench: Make, fake: Fake) -> None:
    rows = run_bench(make_bench(), quiet, upscale=fake(fails={("car", "soft")}))
    failed = [row for row in rows if row.error]
    assert len(rows) == 6 and [(row.clip, row.method) for row in failed] == [("car", "soft")]
    assert failed[0].error == "the sky fell down <b>" and not failed[0].values


def test_failed_rows_are_done_again_on_request(make_bench: Make, fake: Fake) -> None:
    run_bench(make_bench(), quiet, upscale=fake(fails={("car", "soft"), ("boat", "sharp")}))
    left = fake()
    assert len([row for row in run_bench(make_bench(), quiet, upscale=left) if row.error]) == 2 and not left.calls
    again = fake(fails={("boat", "sharp")})
    rows = run_bench(make_bench(retry_failed=True), quiet, upscale=again)
    assert again.calls == [("boat", "sharp"), ("car", "soft")]
    assert [(row.clip, row.method) for row in rows if row.error] == [("boat", "sharp")] and len(rows) == 6
    assert len(run_bench(make_bench(), quiet, upscale=fake())) == 6


def test_without_names_the_metrics_are_fast_and_all_is_the_catalogue(repository: Path) -> None:
    assert choose_metrics(None) == DEFAULT_METRICS and set(DEFAULT_METRICS) < set(CATALOGUE)
    assert not [name for name in DEFAULT_METRICS if ":" in CATALOGUE[name].licence]  # no file of other people
    assert choose_metrics("all") == tuple(CATALOGUE)
    assert choose_metrics("psnr, ssim") == ("psnr", "ssim")
    page = (repository / "docs" / "benchmarks.md").read_text()
    assert "`, `".join(DEFAULT_METRICS) in " ".join(page.split()).replace("`,`", "`, `")


def test_the_report_names_what_was_not_asked_for(make_bench: Make, fake: Fake, tmp_path: Path) -> None:
    run_bench(make_bench(metrics=DEFAULT_METRICS), quiet, upscale=fake())
    facts = " ".join(make_section(tmp_path / "run").facts)
    assert "the fast default set; not asked for, and in --metrics all: " in facts and "musiq" in facts


def test_another_scale_than_four_is_refused(make_bench: Make, fake: Fake, tmp_path: Path) -> None:
    write_frames(tmp_path / "pairs" / "GT" / "a", np.zeros((2, 64, 64, 3), np.uint8))
    write_frames(tmp_path / "pairs" / "LQ" / "a", np.zeros((2, 64, 64, 3), np.uint8))
    with pytest.raises(
        InputError, match="64x64 and low quality of 64x64 are not 4 to 1, and limpid bench enlarges by 4"
    ):
        run_bench(make_bench(root=tmp_path / "pairs", pipeline=None), quiet, upscale=fake())


def test_a_clip_that_cannot_be_read_is_a_row_of_each_method(make_bench: Make, fake: Fake, clips: Path) -> None:
    (clips / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match="--incomplete"):
        run_bench(make_bench(), quiet, upscale=fake())
    rows = run_bench(make_bench(incomplete=True), quiet, upscale=fake())
    assert [row.method for row in rows if row.error] == ["sharp", "soft"]
    assert all("broken.mp4" in row.error for row in rows if row.error)


def test_the_frozen_input_depends_on_the_seed_and_on_nothing_else(make_bench: Make, fake: Fake) -> None:
    hashes = []
    for number, seed in enumerate((0, 0, 1)):
        bench = make_bench(f"run{number}", ("sharp",), pipeline="realbasicvsr", seed=seed)
        hashes.append([row.lr_sha256 for row in run_bench(bench, quiet, upscale=fake())])
    assert hashes[0] == hashes[1] and not set(hashes[0]) & set(hashes[2])
    assert clip_seed(0, "a") != clip_seed(0, "b") != clip_seed(1, "b")


def test_a_frozen_input_that_was_changed_is_noticed(make_bench: Make, fake: Fake, tmp_path: Path) -> None:
    run_bench(make_bench(labels=("sharp",)), quiet, upscale=fake())
    card = json.loads((tmp_path / "run" / "lr" / "car.json").read_text())
    frames, _ = read_frames(tmp_path / "run" / "lr" / "car")
    assert card["sha256"] == pixel_hash(frames) and card["pipeline"] == "bicubic"
    write_frames(tmp_path / "run" / "lr" / "car", 255 - frames)
    rows = run_bench(make_bench(labels=("soft",)), quiet, upscale=fake())
    assert len(rows) == 6
    assert ["have changed since" in (row.error or "") for row in rows] == [False] * 4 + [True, False]


def test_another_run_in_the_same_folder_is_refused(make_bench: Make, fake: Fake) -> None:
    run_bench(make_bench(), quiet, upscale=fake())
    with pytest.raises(SettingsError, match="has seed 0, not 3"):
        run_bench(make_bench(seed=3), quiet, upscale=fake())
    with pytest.raises(SettingsError, match="no degradation 'mist'"):
        run_bench(make_bench("other", pipeline="mist"), quiet, upscale=fake())
    with pytest.raises(SettingsError, match="no metric 'beauty'"):
        run_bench(make_bench("other", metrics=("beauty",)), quiet, upscale=fake())


def test_given_low_quality_frames_are_used_as_they_are(make_bench: Make, fake: Fake, tmp_path: Path) -> None:
    frames = np.zeros((2, 68, 64, 3), np.uint8)
    lr = np.stack([cv2.resize(f, (16, 16)) for f in frames]) + np.uint8(3)
    write_frames(tmp_path / "pairs" / "GT" / "a", frames)
    write_frames(tmp_path / "pairs" / "LQ" / "a", lr)
    (row,) = run_bench(make_bench(labels=("sharp",), root=tmp_path / "pairs", pipeline=None), quiet, upscale=fake())
    assert row.lr_sha256 == pixel_hash(lr)
    assert row.values["psnr"].value == pytest.approx(20 * np.log10(255 / 3), abs=0.01)


def test_a_folder_of_low_quality_clips_has_no_ground_truth(make_bench: Make, fake: Fake) -> None:
    rows = run_bench(make_bench(labels=("sharp",), pipeline="given"), quiet, upscale=fake())
    assert (rows[0].width, rows[0].height) == (256, 256)
    assert rows[0].values["psnr"] == RowValue(value=None, reason="needs the truth (GT)")
    assert rows[0].values["m2-coherent"].value is not None


def test_outputs_are_discarded_on_request_and_frames_are_limited(make_bench: Make, fake: Fake, tmp_path: Path) -> None:
    rows = run_bench(make_bench(keep=False, frames=2), quiet, upscale=fake())
    assert {row.frames for row in rows} == {2}
    assert not list((tmp_path / "run" / "out").rglob("*.png"))


def test_rows_keep_infinite_values_and_reasons(tmp_path: Path) -> None:
    row = Row(clip="a", method="b", values={"x": RowValue(value=float("inf")), "y": RowValue(value=None, reason="no")})
    append_row(tmp_path, row)
    append_row(tmp_path, replace(row, method="c"))
    with (tmp_path / "rows.jsonl").open("ab") as file:
        file.write(b'{"half')
    assert read_rows(tmp_path) == [row, replace(row, method="c")]
    drop_torn_line(tmp_path)
    assert (tmp_path / "rows.jsonl").read_bytes().endswith(b"}\n")
    (tmp_path / "rows.jsonl").write_bytes(b"{}\n")
    with pytest.raises(InputError, match="line 1"):
        read_rows(tmp_path)


def test_where_methods_are_computed_is_no_part_of_the_run(
    make_bench: Callable[..., Bench], fake: Callable[..., Any]
) -> None:
    """Another start of the same run may have other workers; baselines have none."""
    told: dict[str, dict[str, Any]] = {}
    upscale = fake()

    def note(variant: Variant, source: Path, target: Path, *, fps: str, settings: dict[str, Any]) -> JobOutcome:
        told[variant.label] = settings
        return upscale(variant, source, target, fps=fps, settings=settings)

    run_bench(make_bench(labels=("sharp",), places={"workers": "2"}), quiet, upscale=note)
    run_bench(make_bench(labels=("sharp", "bicubic", "soft"), places={"cluster": "head:1"}), quiet, upscale=note)
    assert told == {
        "sharp": {"scale": 4.0, "workers": "2"},
        "bicubic": {},
        "soft": {"scale": 4.0, "cluster": "head:1"},
    }
