"""Prepared shards hold what the clips are, and a killed run goes on."""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limpid.train.data import open_clips
from limpid.train.data.loader import to_batch
from limpid.train.data.prepare_command import add_options, run_prepare
from limpid.train.stage import ClipSpec
from limpid.types import InputError, SettingsError

from .material import write_tar

SPEC = ClipSpec(frames=3, crop_px=64, degradation="light", captions=True)
OPTIONS = ["--frames", "3", "--crop", "64", "--count", "5", "--shard", "2", "--workers", "0", "--seed", "3"]


def prepare(*arguments: object, options: Sequence[str] = OPTIONS) -> int:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return run_prepare(parser.parse_args([*map(str, arguments), *options]))


@pytest.fixture(scope="module")
def made(everything: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    assert prepare(everything, out, "--keep-out", "a") == 0
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_pairs_are_the_clips(everything: Path, made: Path) -> None:
    assert sorted(contents(made)) == [*(f"clips-0000{n}.tar" for n in range(3)), "prepared.json"]
    clips = open_clips(everything, SPEC, seed=3, keep_out=["a"])
    pairs = open_clips(made, replace(SPEC, flips=False), seed=8)
    assert pairs.describe() == "5 prepared pairs, 3 tar shards read."
    found = {}
    for number in range(5):
        sample = pairs.sample(number)
        found[int(sample.key.split()[0].rpartition("/")[2])] = sample
    assert sorted(found) == list(range(5))  # every round has each pair once
    for number, pair in found.items():
        made_again = clips.sample(number)
        assert np.array_equal(pair.hr, made_again.hr) and np.array_equal(pair.lr, made_again.lr)
        assert pair.caption == made_again.caption
        assert pair.damage == made_again.damage == "light"


def test_parts_of_pairs_belong_together(everything: Path, tmp_path: Path) -> None:
    """LR shows the same part as HR, turned alike."""
    clean = [*OPTIONS[:4], "--count", "3", "--workers", "0", "--degradation", "none"]
    assert prepare(everything, tmp_path / "out", "--keep-out", "film", "grey", "a", options=clean) == 0
    spec = replace(SPEC, crop_px=32, frames=2, degradation="none")
    pairs, again = (open_clips(tmp_path / "out", spec, seed=8) for _ in range(2))
    for number in range(20):
        sample = pairs.sample(number)
        assert sample.hr.shape == (2, 32, 32, 3) and sample.lr.shape == (2, 8, 8, 3)
        small = sample.hr.reshape(2, 8, 4, 8, 4, 3).mean((2, 4))
        assert np.abs(small - sample.lr).mean() < 8 < np.abs(small[:, ::-1] - sample.lr).mean()
        assert again.sample(number).key == sample.key


def test_parts_of_pairs_begin_at_blocks_where_that_is_asked_for(made: Path) -> None:
    aligned = open_clips(made, replace(SPEC, crop_px=32, lr_align_px=8), seed=8)
    places = [aligned.sample(number).key.rsplit(" at ", 1)[1] for number in range(30)]
    assert {int(side) % 32 for place in places for side in place.split(",")} == {0}
    assert len(set(places)) > 1


def test_pairs_know_which_of_several_pipelines_they_went_through(everything: Path, tmp_path: Path) -> None:
    options = [*OPTIONS, "--count", "8", "--degradation", "mixed"]
    assert prepare(everything, tmp_path / "out", options=options) == 0
    spec = replace(SPEC, degradation="mixed")
    clips, pairs = open_clips(everything, spec, seed=3), open_clips(tmp_path / "out", spec, seed=8)
    wanted = sorted(clips.sample(number).damage for number in range(8))
    batch = to_batch(range(8), [pairs.sample(number) for number in range(8)])
    assert sorted(batch.damages) == wanted and {"light", "worn"} <= set(wanted)


def test_folders_of_pairs_in_one_folder_are_used_together(made: Path, everything: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "light")
    assert prepare(everything, tmp_path / "worn", options=[*OPTIONS, "--count", "3", "--degradation", "worn"]) == 0
    clips = open_clips(tmp_path, replace(SPEC, degradation="mixed"), seed=0)
    assert sorted(clips.sample(number).damage for number in range(8)) == ["light"] * 5 + ["worn"] * 3
    assert "nobody knows how" not in clips.describe()
    with pytest.raises(SettingsError, match="light: was prepared with frames 3, 4 is needed"):
        open_clips(tmp_path, replace(SPEC, degradation="mixed", frames=4), seed=0)


def test_pairs_of_others_that_do_not_say_it_are_read(made: Path, tmp_path: Path) -> None:
    with tarfile.open(made / "clips-00000.tar") as shard:
        members = {info.name: shard.extractfile(info).read() for info in shard}  # type: ignore[union-attr]
    plain = {name: data for name, data in members.items() if not name.endswith(".json")}
    write_tar(tmp_path / "a.tar", plain | {"00000001.json": b"[1]"})
    clips = open_clips(tmp_path, SPEC, seed=0)
    assert [clips.sample(number).damage for number in range(2)] == ["", ""]
    write_tar(tmp_path / "a.tar", plain | {"00000000.json": b"{", "00000001.json": b"["})
    with pytest.raises(InputError, match="is not JSON"):
        open_clips(tmp_path, SPEC, seed=0).sample(0)


def test_facts(made: Path) -> None:
    facts = json.loads((made / "prepared.json").read_text())
    assert facts["complete"] and facts["degradation"] == "light" and facts["keep_out"] == ["a"] and facts["seed"] == 3
    assert set(facts["versions"]) == {"limpid", "numpy", "opencv-python-headless", "av"}
    assert "shard.tar/a" not in facts["sources"] and "shard.tar/b" in facts["sources"]


def test_a_killed_run_goes_on(everything: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(made)
    (made / "clips-00001.tar").unlink()
    (made / ".clips-00001.tar.limpid-part").write_bytes(b"half")
    pairs = open_clips(made, SPEC, seed=0)
    assert "2 of 5 pairs are missing" in pairs.describe()
    assert prepare(everything, made, "--keep-out", "a") == 0
    assert "2 of 5 clips were made now" in capsys.readouterr().err
    assert contents(made) == before
    with pytest.raises(SettingsError, match="was begun with seed 3, not 4"):
        prepare(everything, made, "--keep-out", "a", options=[*OPTIONS[:-1], "4"])
    with pytest.raises(SettingsError, match="was begun with keep_out"):
        prepare(everything, made)
    assert contents(made) == before


def test_workers_and_plain_arrays(everything: Path, tmp_path: Path) -> None:
    options = [*OPTIONS, "--count", "2", "--store", "npy"]
    assert prepare(everything, tmp_path / "a", options=options) == 0
    assert prepare(everything, tmp_path / "b", options=[*options, "--workers", "2"]) == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert open_clips(tmp_path / "a", SPEC, seed=0).sample(1).hr.shape == (3, 64, 64, 3)


def test_pairs_made_otherwise_are_refused(made: Path) -> None:
    for change, says in (
        ({"degradation": "complex"}, "prepared with degradation light, not complex"),
        ({"frames": 4}, "prepared with frames 3, 4 is needed"),
        ({"crop_px": 128}, "prepared with crop 64, 128 is needed"),
    ):
        with pytest.raises(SettingsError, match=says):
            open_clips(made, replace(SPEC, **change), seed=0)  # type: ignore[arg-type]


def array(*shape: int) -> bytes:
    data = io.BytesIO()
    np.save(data, np.zeros(shape, np.uint8))
    return data.getvalue()


def test_odd_pairs_are_named(tmp_path: Path) -> None:
    shard = tmp_path / "a.tar"
    cases = [
        ({"x.hr.npy": array(3, 64, 64, 3), "x.lr.npy": array(2, 16, 16, 3)}, "do not go together"),
        ({"x.hr.npy": array(3, 64, 64, 3), "x.lr.npy": b"?"}, r"a\.tar/x\.lr\.npy: cannot be read"),
        ({"x.hr.png": b"?", "x.lr.npy": array(3, 16, 16, 3)}, r"a\.tar/x\.hr\.png: cannot be read"),
        ({"x.hr.npy": array(3, 64, 64), "x.lr.npy": array(3, 16, 16, 3)}, "not uint8 t h w 3"),
        ({"x.hr.npy": array(2, 64, 64, 3), "x.lr.npy": array(2, 16, 16, 3)}, "is less than 3 frames of 64 px"),
    ]
    for members, says in cases:
        write_tar(shard, members)
        clips = open_clips(tmp_path, SPEC, seed=0)
        assert "nobody knows how the pairs were degraded" in clips.describe()
        with pytest.raises(InputError, match=says):
            clips.sample(0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--count", "0"], "must be 1 or more"),
        (["--strides", "2-x"], "must be a number or a range"),
        (["--strides", "3-2"], "must be a range"),
        (["--crop", "63"], "cannot be shrunk"),
        (["--degradation", "no"], "no degradation 'no'"),
        (["--workers", "-1"], "must be 0 or more"),
        (["--check", "REDS"], "leave out"),
    ],
)
def test_wrong_options(everything: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        prepare(everything, tmp_path / "out", options=[*OPTIONS, *arguments])


def test_folders_are_kept_apart(everything: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="lies inside of the data"):
        prepare(everything, everything / "out")
    with pytest.raises(SettingsError, match="folder for the shards is missing"):
        prepare(everything)
