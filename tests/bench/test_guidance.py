"""``limpid bench guidance`` on a tiny random Stable Diffusion: pictures differ, runs go on, n/a has reasons."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from limpid.bench import guidance as module
from limpid.bench.guidance import GuidanceBench, guidance_lines, read_captions, run_guidance
from limpid.cli.main import main
from limpid.convert.random_weights import make_random_weights
from limpid.metrics.kinds import NotMeasurableError
from limpid.plan.device import Machine, choose_machine
from limpid.types import InputError, SettingsError, WeightsError

Make = Callable[..., GuidanceBench]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 2.1 of a few channels, in the layout of diffusers."""
    return make_random_weights("sd-2-1-base", "tiny", tmp_path_factory.mktemp("sd") / "model")


@pytest.fixture
def make(model: Path, tmp_path: Path) -> Make:
    (tmp_path / "captions.txt").write_text("a dog\n\n  a street at night \na third\n")
    given = {"model": model, "captions": tmp_path / "captions.txt", "out": tmp_path / "run", "weights": tmp_path}
    return lambda **changes: GuidanceBench(**{**given, "count": 2, "steps": 2, "size_px": 128, **changes})


@pytest.fixture
def machine() -> Machine:
    return choose_machine("cpu", "float32", 1)


def quiet(name: str, done: int, total: int) -> None:
    pass


def files_of(run: Path) -> dict[str, bytes]:
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in sorted(run.rglob("*.png"))}


def test_every_guidance_draws_its_own_picture_and_counts_its_calls(make: Make, machine: Machine) -> None:
    bench = make(guidances=("none", "cfg", "sag", "pag", "dssag"))
    rows = run_guidance(bench, machine, quiet)
    assert {row.name: row.calls_per_step for row in rows} == {"none": 1, "cfg": 2, "sag": 3, "pag": 3, "dssag": 2}
    found = files_of(bench.out)
    assert len(found) == 10 and len(set(found.values())) == 10, "the pictures differ pairwise"
    assert cv2.imread(str(bench.out / "images" / "sag" / "000001.png")).shape == (128, 128, 3)
    assert all(row.inception_score is None and "weights-inception" in row.reasons["IS"] for row in rows)
    table = "\n".join(guidance_lines(rows))
    assert "n/a (paper: 36.04)" in table and "2 (paper: 2)" in table and "- n/a FID: needs weights-inception" in table
    assert json.loads((bench.out / "guidance.json").read_text())[2]["feedforward_per_iter"] == 3


def test_a_stopped_run_goes_on_to_the_same_pictures(make: Make, machine: Machine, tmp_path: Path) -> None:
    def stop(name: str, done: int, total: int) -> None:
        if (name, done) == ("pag", 1):
            raise KeyboardInterrupt

    bench = make(guidances=("sag", "pag"))
    with pytest.raises(KeyboardInterrupt):
        run_guidance(bench, machine, stop)
    assert len(files_of(bench.out)) == 3
    kept = (bench.out / "images" / "sag" / "000001.png").stat().st_mtime_ns
    rows = run_guidance(bench, machine, quiet)
    assert [row.calls_per_step for row in rows] == [3, 3]
    assert (bench.out / "images" / "sag" / "000001.png").stat().st_mtime_ns == kept, "what was there was kept"
    whole = make(guidances=("sag", "pag"), out=tmp_path / "whole")
    run_guidance(whole, machine, quiet)
    assert files_of(whole.out) == files_of(bench.out)
    with pytest.raises(SettingsError, match="was begun with steps 2, not 3"):
        run_guidance(make(guidances=("sag",), steps=3), machine, quiet)


def test_scores_with_and_without_real_pictures(
    make: Make, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return picture.mean((0, 1)), picture.std((0, 1))

    monkeypatch.setattr(module, "inception", lambda folder: look)
    (plain,) = run_guidance(make(guidances=("dssag",)), machine, quiet)
    assert (
        plain.inception_score is not None and plain.frechet_distance is None and "--reference" in plain.reasons["FID"]
    )
    (tmp_path / "real").mkdir()
    for name in ("a.png", "b.jpg"):
        picture = np.random.default_rng(len(name)).integers(0, 255, (40, 30, 3), np.uint8)
        assert cv2.imwrite(str(tmp_path / "real" / name), picture)
    (row,) = run_guidance(make(guidances=("dssag",), reference=tmp_path / "real"), machine, quiet)
    assert row.frechet_distance is not None and row.frechet_distance > 0 and not row.reasons
    same = make(guidances=("dssag",), reference=tmp_path / "run" / "images" / "dssag")
    assert run_guidance(same, machine, quiet)[0].frechet_distance == pytest.approx(0, abs=1e-6)
    (tmp_path / "real" / "c.png").write_bytes(b"no picture")
    with pytest.raises(NotMeasurableError, match=r"c\.png cannot be read"):
        list(module._pictures(tmp_path / "real"))


def test_captions_of_coco_and_bad_ones(tmp_path: Path) -> None:
    words = [(5, "One\ndog."), (7, "A street"), (5, "Another caption of the same picture")]
    entries = [{"image_id": number, "caption": caption} for number, caption in words]
    (tmp_path / "captions.json").write_text(json.dumps({"annotations": entries}))
    assert read_captions(tmp_path / "captions.json") == ["One dog.", "A street"]
    for name, text in {"a.json": "[]", "b.json": "{", "c.txt": " \n", "d.json": '{"annotations": [1]}'}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="caption"):
            read_captions(tmp_path / name)


def test_wrong_values_and_models_are_refused(make: Make, machine: Machine, tmp_path: Path) -> None:
    for changes in ({"count": 0}, {"steps": 0}, {"size_px": 100}, {"size_px": 0}):
        with pytest.raises(SettingsError, match=r"count from 1|multiple of 64"):
            make(**changes)
    with pytest.raises(WeightsError):
        run_guidance(make(model=tmp_path), machine, quiet)


def test_the_command(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = make()
    words = ["bench", "guidance", "--model", str(bench.model), "--captions", str(bench.captions), "--size", "128"]
    words += ["--out", str(tmp_path / "by-command"), "--count", "1", "--steps", "1", "--device", "cpu"]
    assert main([*words, "--guidance", "dssag"]) == 0
    said = capsys.readouterr()
    assert "feedforward_per_iter ↓ | 2 (paper: 2)" in said.out and "dssag: 1 of 1 pictures" in said.err
    assert main([*words, "--guidance", "magic"]) == 2
    assert "there is no guidance 'magic'" in capsys.readouterr().err
