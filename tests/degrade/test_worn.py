"""The pipelines of worn footage: chances as written, every codec at work, blocks that are seen by their measure."""

from __future__ import annotations

import json

import numpy as np
import pytest
from skimage import data

from limpid.degrade import PIPELINES, Drawn, apply_to_clip, draw, drawn_damage
from limpid.degrade.chances import OneOf
from limpid.degrade.ranges import ToTarget
from limpid.metrics.blocks import blockiness


def test_one_of_several_groups_is_drawn() -> None:
    inner = OneOf(groups=((), (ToTarget(), ToTarget())), chances=(0.5, 0.5))
    choice = OneOf(groups=((), (ToTarget(),), (inner, ToTarget())), chances=(0.2, 0.5, 0.3))
    lengths = [len(choice.order(np.random.default_rng(seed))) for seed in range(2000)]
    shares = [lengths.count(n) / len(lengths) for n in range(4)]
    assert shares == pytest.approx([0.2, 0.65, 0, 0.15], abs=0.03)


def test_ranges_and_chances() -> None:
    clips = [draw(PIPELINES["worn"], num_frames=5, height=256, width=256, seed=seed).steps for seed in range(800)]
    codecs = [[step for step in clip if step["op"] == "codec"] for clip in clips]
    assert np.mean([len(each) > 0 for each in codecs]) == pytest.approx(1 - 0.08 * 0.68, abs=0.03)
    assert np.mean([len(each) > 1 for each in codecs]) == pytest.approx(0.92 * 0.32, abs=0.04)
    assert {step["codec"] for each in codecs for step in each} == {"libx264", "libx265", "mpeg4", "mpeg2video"}
    stretched = [step for clip in clips for step in clip if step["op"] == "resize" and step["sizes"] != [[64, 64]]]
    assert len(stretched) / len(clips) == pytest.approx(0.12, abs=0.04)
    assert all(38 <= side <= 64 for step in stretched for side in step["sizes"][0])
    gray = [step["gray"] for clip in clips for step in clip if step["op"] == "gaussian_noise"]
    assert len(gray) / len(clips) == pytest.approx(0.55, abs=0.05) and np.mean(gray) == pytest.approx(0.4, abs=0.06)


def test_which_of_several_pipelines_a_seed_takes_is_known() -> None:
    for seed in range(40):
        clip = {"num_frames": 2, "height": 256, "width": 256, "seed": seed}
        operations = [step["op"] for step in draw(PIPELINES["mixed"], **clip).steps]
        name = drawn_damage(PIPELINES["mixed"], seed)
        first = {"light": "simple_shrink", "realbasicvsr-first": "blur"}
        assert name == "worn" or operations[0] == first[name]
    names = [drawn_damage(PIPELINES["mixed"], seed) for seed in range(2000)]
    shares = [names.count(name) / len(names) for name in ("light", "worn", "realbasicvsr-first")]
    assert shares == pytest.approx([0.4, 0.45, 0.15], abs=0.03)
    assert {drawn_damage(PIPELINES[name], 0) for name in ("light", "worn")} == {"light", "worn"}


def test_mixed_is_one_of_three() -> None:
    clips = [draw(PIPELINES["mixed"], num_frames=2, height=256, width=256, seed=seed).steps for seed in range(400)]
    walks = [any(step["op"] == "resize" and len(step["sizes"]) > 1 for step in clip) for clip in clips]
    assert np.mean(walks) == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "mpeg2video"])
def test_every_codec_makes_blocks_or_blur(codec: str) -> None:
    photo = np.ascontiguousarray(data.astronaut()[:256, 100:356])
    clip = np.stack([photo] * 3)
    for seed in range(1000):
        drawn = draw(PIPELINES["worn"], num_frames=3, height=256, width=256, seed=seed)
        if [step.get("codec") for step in drawn.steps if step["op"] == "codec"] == [codec]:
            break
    low = apply_to_clip(clip, drawn)
    assert low.shape == (3, 64, 64, 3)
    assert 1 < np.abs(low.astype(float) - clip.reshape(3, 64, 4, 64, 4, 3).mean((2, 4))).mean() < 30


def test_coarse_mpeg4_is_blocky() -> None:
    from limpid.video.roundtrip import codec_roundtrip

    photo = np.ascontiguousarray(data.astronaut()[::2, ::2])
    coarse = codec_roundtrip(np.stack([photo] * 3), codec="mpeg4", crf=None, bit_rate=8000, rate=1)
    assert blockiness(coarse, 1) > blockiness(photo[None], 1) + 0.1


def test_a_record_of_worn_footage_is_accepted() -> None:
    for seed in range(200):
        drawn = draw(PIPELINES["mixed"], num_frames=3, height=64, width=64, seed=seed)
        assert Drawn.from_json(json.loads(json.dumps(drawn.to_json()))) == drawn
