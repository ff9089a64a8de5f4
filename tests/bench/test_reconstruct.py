"""An autoencoder by itself as a column of a run (DiffVSR Table 4), with a random network of a few channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limpid.bench.datasets import find_dataset
from limpid.bench.frames import read_frames
from limpid.bench.jobs import JobOutcome, Variant
from limpid.bench.papers import PAPERS, find_part
from limpid.bench.papers.variants import Here, paper_variants
from limpid.bench.reconstruct import decoder_chunks, reconstruct
from limpid.bench.run import Bench, run_bench
from limpid.bench.sections import make_section
from limpid.bench.worker import RECONSTRUCT, do
from limpid.train.starts.random import random_start

Make = Callable[..., Bench]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image model, which has an autoencoder."""
    return random_start(tmp_path_factory.mktemp("weights"))


def in_this_process(
    variant: Variant, source: Path, target: Path, *, fps: str, settings: dict[str, object]
) -> JobOutcome:
    target.parent.mkdir(parents=True, exist_ok=True)
    said = do({"method": variant.method, "source": str(source), "target": str(target), "settings": settings})
    return JobOutcome(**said)


def test_frames_go_to_latents_and_back(clips: Path, weights: Path, tmp_path: Path) -> None:
    settings = {"weights": str(weights), "device": "cpu", "shape": [3, 48, 32]}
    job = {"source": str(clips / "boat"), "target": str(tmp_path / "made"), "settings": settings}
    said = reconstruct(job)
    made, _ = read_frames(tmp_path / "made")
    assert made.shape == (3, 48, 32, 3) and made.std() > 0
    assert said["random_weights"] is True and said["device"] == "cpu"
    settings["shape"] = [2, 48, 32]
    reconstruct({**job, "target": str(tmp_path / "fewer")})
    assert np.array_equal(read_frames(tmp_path / "fewer")[0], made[:2]), "an image decoder works frame by frame"


def test_rows_of_a_run(make_bench: Make, weights: Path, tmp_path: Path) -> None:
    variants = (Variant(label="2DVAE", method=RECONSTRUCT, changes={"weights": str(weights)}),)
    rows = run_bench(make_bench(variants=variants, settings={"device": "cpu"}), print, upscale=in_this_process)
    assert [row.error for row in rows] == [None] * 3
    assert all(row.values["psnr"].value and row.random_weights and row.frames == 4 for row in rows)
    assert make_section(tmp_path / "run").warnings == (
        "2DVAE: the weights are random numbers: this says whether it runs, not how good it is",
    )


def test_without_a_truth_there_is_nothing_to_reconstruct(make_bench: Make, weights: Path) -> None:
    variants = (Variant(label="2DVAE", method=RECONSTRUCT, changes={"weights": str(weights)}),)
    rows = run_bench(make_bench(variants=variants, pipeline="given"), print, upscale=in_this_process)
    assert all(row.error and "no ground truth" in row.error for row in rows)


def test_table_4_finds_its_decoders(weights: Path, tmp_path: Path) -> None:
    part = find_part(PAPERS["diffvsr"], "4")
    final = tmp_path / "diffvsr" / "vae-2d" / "final"
    final.parent.mkdir(parents=True)
    final.symlink_to(weights)
    variants, not_run = paper_variants(part, Here(method="diffvsr", trained=tmp_path))
    assert [(v.label, v.changes) for v in variants] == [("2DVAE", {"weights": str(weights)})]
    assert "limpid train --recipe diffvsr/vae-3d --start WEIGHTS/sd-x4-upscaler" in not_run["3DVAE"]
    assert "weights convert diffvsr" in not_run["TE-3DVAE of the authors"]
    (weights / "vae" / "config.json").rename(weights / "vae" / "away.json")
    try:
        _, not_run = paper_variants(part, Here(method="diffvsr", trained=tmp_path))
        assert "is not there" in not_run["2DVAE"]
    finally:
        (weights / "vae" / "away.json").rename(weights / "vae" / "config.json")
    assert find_dataset("folder").has_truth


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 31, 100])
def test_chunks_cover_a_clip_once_and_are_nearly_equal(count: int) -> None:
    parts = decoder_chunks(count)
    assert [n for part in parts for n in range(count)[part]] == list(range(count))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) <= 8 and max(lengths) - min(lengths) <= 1
