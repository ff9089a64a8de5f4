"""The light pipelines draw once per clip, inside of their ranges, as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from limpid.degrade import PIPELINES, apply_to_clip, draw


def test_ranges_and_chances() -> None:
    pipeline = PIPELINES["light"]
    clips = [draw(pipeline, num_frames=5, height=64, width=64, seed=seed).steps for seed in range(600)]
    found = {
        op: [step for clip in clips for step in clip if step["op"] == op] for op in ("gaussian_noise", "jpeg", "codec")
    }
    assert all(0.4 <= clip[0]["blur_sigma"] <= 2.0 for clip in clips)
    assert all(len(step["sigma"]) == 1 and 0 < step["sigma"][0] <= 12 for step in found["gaussian_noise"])
    assert all(len(set(step["quality"])) == 1 and 40 <= step["quality"][0] <= 95 for step in found["jpeg"])
    assert {step["crf"] for step in found["codec"]} == set(range(18, 33))
    shares = {op: len(steps) / len(clips) for op, steps in found.items()}
    assert shares == pytest.approx({"gaussian_noise": 2 / 3, "jpeg": 0.2, "codec": 0.85}, abs=0.06)


def test_diffvsr_begins_with_a_round_blur_and_bicubic_alone() -> None:
    """Section 3.5 names no other step; the blur is the same in all frames, and bicubic is the pipeline's own."""
    pipeline = PIPELINES["blur-bicubic"]
    clips = [draw(pipeline, num_frames=4, height=64, width=64, seed=seed).steps for seed in range(50)]
    assert all([step["op"] for step in clip] == ["blur", "bicubic"] for clip in clips)
    frame = np.zeros((4, 64, 64, 3), np.uint8)
    frame[:, 31:33, 31:33] = 255
    peaks = []
    for seed in range(8):
        low = apply_to_clip(frame, draw(pipeline, num_frames=4, height=64, width=64, seed=seed))
        assert (low == low[:1]).all(), "drawn once per clip"
        assert np.abs(low[0].astype(int) - low[0].transpose(1, 0, 2)).max() <= 1, "the blur is round"
        peaks.append(low.max())
    plain = apply_to_clip(frame, draw(PIPELINES["bicubic"], num_frames=4, height=64, width=64, seed=0))
    assert min(peaks) < 0.75 * plain.max() and max(peaks) <= plain.max() + 1
