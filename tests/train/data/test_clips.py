"""Clips by number from everything a folder can hold."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limpid.degrade import shrink
from limpid.train.data import ClipSample, TrainingClips, open_clips
from limpid.train.stage import ClipSpec
from limpid.types import InputError, SettingsError

SPEC = ClipSpec(frames=3, crop_px=64, degradation="light", captions=True)
NUMBERS = range(12)


def same(a: ClipSample, b: ClipSample) -> bool:
    arrays = all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("hr", "lr"))
    flows = (a.flow_forward is None) == (b.flow_forward is None)
    return arrays and flows and (a.key, a.caption) == (b.key, b.caption)


@pytest.fixture(scope="module")
def drawn(everything: Path) -> tuple[TrainingClips, list[ClipSample]]:
    clips = open_clips(everything, SPEC, seed=5)
    return clips, [clips.sample(number) for number in range(28)]


def test_a_clip_is_a_function_of_its_number(everything: Path, drawn: tuple[TrainingClips, list[ClipSample]]) -> None:
    clips, samples = drawn
    again = pickle.loads(pickle.dumps(clips))
    fresh = open_clips(everything, SPEC, seed=5)
    for number in reversed(NUMBERS):
        assert same(samples[number], again.sample(number)) and same(samples[number], fresh.sample(number))
    other = open_clips(everything, SPEC, seed=6)
    assert not all(same(samples[number], other.sample(number)) for number in range(4))
    assert fresh.fingerprint == clips.fingerprint
    with pytest.raises(ValueError, match="numbered from 0, not -1"):
        clips.sample(-1)


def test_shapes_captions_and_flows(drawn: tuple[TrainingClips, list[ClipSample]]) -> None:
    captions = {}
    for sample in drawn[1]:
        assert sample.hr.shape == (3, 64, 64, 3) and sample.lr.shape == (3, 16, 16, 3)
        assert sample.hr.dtype == sample.lr.dtype == np.uint8 and sample.notes == ()
        source = sample.key.split()[0]
        captions[source] = sample.caption
        filmed = source.startswith("photos/") or source == "shard.tar/b"
        assert (sample.flow_forward is not None) == filmed == (sample.flow_backward is not None)
        if sample.flow_forward is not None:
            assert sample.flow_forward.shape == (2, 2, 64, 64)
    assert captions == {
        "photos/photo_0.png": "a rug",
        "photos/photo_1.png": "",
        "film": "a film",
        "grey.mp4": "brighter and brighter",
        "shard.tar/a": "a grey wall",
        "shard.tar/b": "noise",
    }


def test_without_captions_prompts_are_empty(everything: Path) -> None:
    clips = open_clips(everything, replace(SPEC, captions=False), seed=5)
    assert {clips.sample(number).caption for number in NUMBERS} == {""}


def test_it_says_what_there_is(drawn: tuple[TrainingClips, list[ClipSample]]) -> None:
    says = drawn[0].describe()
    assert says.startswith("2 videos, 1 frame folder, 3 photos, 1 tar shard read; 60% of the clips are from photos.")


def test_strides_and_time(everything: Path) -> None:
    spec = replace(SPEC, strides=(2, 4), degradation="none", frames=4)
    clips = open_clips(everything, spec, seed=1, keep_out=["grey", "photo_0", "photo_1", "a", "b"])
    seen = set()
    for number in range(30):
        sample = clips.sample(number)
        levels = sample.hr[:, 0, 0, 0].astype(int) // 8
        steps = set(np.diff(levels))
        assert len(steps) == 1 and (sample.hr == sample.hr[:, :1, :1, :1]).all()
        seen |= steps
        assert f"step {abs(min(steps, key=abs))}" in sample.key
        assert np.array_equal(sample.lr[:, 0, 0], sample.hr[:, 0, 0])
    assert seen == {-4, -3, -2, 2, 3, 4}


def test_a_video_frame_is_the_frame_of_that_number(everything: Path) -> None:
    keep_out = ["film", "photo_0", "photo_1", "a", "b"]
    clips = open_clips(everything, replace(SPEC, flips=False), seed=1, keep_out=keep_out)
    for number in range(8):
        sample = clips.sample(number)
        first = int(sample.key.split()[2])
        assert np.allclose(sample.hr[:, 32, 32, 1], 8 * np.arange(first, first + 3), atol=2)


def test_short_sources_get_smaller_strides_or_are_replaced(everything: Path) -> None:
    clips = open_clips(everything, replace(SPEC, frames=10, strides=(1, 6)), seed=1)
    for number in range(10):
        assert len(clips.sample(number).hr) == 10
    long = open_clips(everything, replace(SPEC, frames=22), seed=1)
    samples = [long.sample(number) for number in range(30)]
    notes = {note for sample in samples for note in sample.notes}
    assert notes == {
        "grey.mp4: its longest shot has 20 frames, 22 are needed",
        "shard.tar/a: its longest shot has 12 frames, 22 are needed",
    }
    only = ["film", "photo_0", "photo_1", "b"]
    with pytest.raises(InputError, match=r"clip 0: 20 sources cannot be used; the last: .*22 are needed"):
        open_clips(everything, replace(SPEC, frames=22), seed=1, keep_out=only).sample(0)


def test_crops_are_the_whole_picture_at_most(everything: Path) -> None:
    spec = replace(SPEC, crop_px=72, degradation="none")
    clips = open_clips(everything, spec, seed=2)
    for number in range(10):
        assert clips.sample(number).hr.shape == (3, 72, 72, 3)
    larger = open_clips(everything, replace(spec, crop_px=96), seed=2)
    assert "left out: grey.mp4: 96x72 is smaller than the crop of 96 px" in larger.describe()
    assert larger.source_names() == ["photos/photo_0.png", "photos/photo_1.png", "shard.tar/b"]
    with pytest.raises(InputError, match="none of 6 sources can be used"):
        open_clips(everything, replace(spec, crop_px=512), seed=2)


def test_levels_and_pipelines(everything: Path) -> None:
    none = open_clips(everything, replace(SPEC, degradation="none"), seed=3).sample(0)
    expected = [np.clip(np.rint(shrink.bicubic(frame, 4)), 0, 255).astype(np.uint8) for frame in none.hr]
    assert np.array_equal(none.lr, np.stack(expected))
    for level, name in (("simple", "blur-bicubic"), ("complex", "realbasicvsr-area")):
        a, b = (open_clips(everything, replace(SPEC, degradation=each), seed=3).sample(0) for each in (level, name))
        assert same(a, b) and np.array_equal(a.hr, none.hr) and not np.array_equal(a.lr, none.lr)
    with pytest.raises(SettingsError, match="no degradation 'strong': use one of none, simple, complex, bicubic"):
        open_clips(everything, replace(SPEC, degradation="strong"), seed=3)
    with pytest.raises(SettingsError, match="crops of 16 px are too small to be degraded: use 32"):
        open_clips(everything, replace(SPEC, crop_px=16), seed=3)
