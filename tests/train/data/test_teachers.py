"""Clips with a teacher's frames: a network whose answer is known, and what is said without one."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from image_networks import nearest
from ncnn_here import needs_ncnn

from limpid.methods import TINY_WEIGHTS
from limpid.priors.cleaned import Cleaner, CleanerConfig, save_cleaner
from limpid.train.data import open_clips
from limpid.train.data.loader import to_batch
from limpid.train.data.prepare_command import add_options, run_prepare
from limpid.train.data.teachers import Teacher
from limpid.train.stage import ClipSpec
from limpid.types import InputError, SettingsError, WeightsError

pytestmark = needs_ncnn
SPEC = ClipSpec(frames=2, crop_px=64, degradation="none", flips=False, teacher=True)
OPTIONS = ["--frames", "2", "--crop", "64", "--count", "2", "--workers", "0", "--degradation", "none"]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A teacher that enlarges by 4 by repeating pixels, and halves the levels; another is damaged."""
    monkeypatch.setenv("LIMPID_WEIGHTS", str(tmp_path / "cache"))
    bad = nearest(tmp_path / "bad", 4)
    bad.write_text(bad.read_text().replace("Interp", "NoSuchLayer"))
    return nearest(tmp_path / "sharp", 4, gain=0.5).with_suffix("")


def prepare(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return run_prepare(parser.parse_args([*map(str, arguments), *OPTIONS]))


def test_a_teacher_enlarges_frames_without_shift_or_border(model: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 20, 3), np.uint8)
    made = Teacher.of(f"{model}.param")(frames)
    assert np.array_equal(made, np.rint(frames.repeat(4, 1).repeat(4, 2) / 2).astype(np.uint8))


def test_prepared_clips_bring_it_along(everything: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert prepare(everything, out, "--teacher", model) == 0
    facts = json.loads((out / "prepared.json").read_text())
    assert facts["teacher"]["name"] == "sharp" and len(facts["teacher"]["sha256"]) == 64
    clips = open_clips(out, SPEC, seed=0)
    sample = clips.sample(0)
    assert sample.teacher is not None
    assert np.array_equal(sample.teacher, np.rint(sample.lr.repeat(4, 1).repeat(4, 2) / 2).astype(np.uint8))
    batch = to_batch((0, 1), [clips.sample(0), clips.sample(1)])
    assert batch.teacher is not None and batch.teacher.shape == batch.hr.shape
    part = open_clips(out, replace(SPEC, crop_px=32, flips=True), seed=1).sample(3)
    assert part.teacher is not None and part.teacher.shape == (2, 32, 32, 3)
    assert np.array_equal(part.teacher, np.rint(part.lr.repeat(4, 1).repeat(4, 2) / 2).astype(np.uint8))
    assert open_clips(out, replace(SPEC, teacher=False), seed=0).sample(0).teacher is None
    nearest(model, 4, gain=0.25)
    with pytest.raises(SettingsError, match="was begun with teacher"):
        prepare(everything, out, "--teacher", model)


def test_a_teacher_may_be_shown_cleaned_frames(everything: Path, model: Path, tmp_path: Path) -> None:
    brighter = Cleaner(CleanerConfig(channels=4, blocks=1)).requires_grad_(False)
    brighter.leave.weight.zero_()
    brighter.leave.bias.fill_(0.25)  # type: ignore[union-attr]
    save_cleaner(brighter, tmp_path / "c.safetensors")
    out = tmp_path / "out"
    assert prepare(everything, out, "--teacher", model, "--teacher-cleaner", tmp_path / "c.safetensors") == 0
    assert len(json.loads((out / "prepared.json").read_text())["teacher"]["cleaner_sha256"]) == 64
    sample = open_clips(out, SPEC, seed=0).sample(0)
    shown = np.minimum(sample.lr.repeat(4, 1).repeat(4, 2) / 255 + 0.25, 1)
    assert sample.teacher is not None and np.abs(sample.teacher - shown * 127.5).max() <= 0.51
    with pytest.raises(SettingsError, match="was begun with teacher"):
        prepare(everything, out, "--teacher", model)


def test_a_cleaner_that_goes_before_nothing_is_refused(everything: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="goes before a teacher"):
        prepare(everything, tmp_path / "out", "--teacher-cleaner", tmp_path / "c.safetensors")
    with pytest.raises(WeightsError, match="no weights of a cleaner"):
        prepare(everything, tmp_path / "out", "--teacher", model, "--teacher-cleaner", TINY_WEIGHTS)
    assert not (tmp_path / "out").exists()


def test_data_without_a_teacher_is_refused(everything: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a teacher's frames are needed; make pairs with"):
        open_clips(everything, SPEC, seed=0)
    assert prepare(everything, tmp_path / "out") == 0
    with pytest.raises(SettingsError, match="was prepared without a teacher"):
        open_clips(tmp_path / "out", SPEC, seed=0)
    (tmp_path / "out" / "prepared.json").unlink()
    with pytest.raises(InputError, match="has no teacher frames"):
        open_clips(tmp_path / "out", SPEC, seed=0).sample(0)


def test_a_teacher_of_another_scale_is_refused(everything: Path, model: Path, tmp_path: Path) -> None:
    nearest(model, 2)
    with pytest.raises(SettingsError, match="choose another teacher or --scale"):
        prepare(everything, tmp_path / "out", "--teacher", model)


def test_what_is_missing_is_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=r"no\.param: there is no such file"):
        Teacher.of(model.with_name("no"))
    with pytest.raises(WeightsError, match="cannot read this network"):
        Teacher.of(model.with_name("bad"))
    monkeypatch.setitem(sys.modules, "ncnn", None)
    with pytest.raises(SettingsError, match="pip install ncnn"):
        Teacher.of(model)
