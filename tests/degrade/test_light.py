"""The light pipeline draws once per clip, inside of its ranges, as often as it says."""

from __future__ import annotations

import pytest

from limpid.degrade import PIPELINES, draw


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
