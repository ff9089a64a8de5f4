"""Numbers measured by another implementation on real clips: bicubic of a clean /4, and the truth."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from limpid.metrics import Clips, measure

CLIPS = Path(__file__).parents[3] / "shared" / "clips"
CLIP = "hr_bigbuckbunny_1280x720.mp4"
BICUBIC = {
    "psnr": 30.57,
    "psnr-y": 31.97,
    "ssim": 0.8121,
    "tof": 0.17,
    "vbench-flickering": 0.9914,
    "m1-lr-psnr": 41.5,
    "m2-coherent": 1.71,
    "m3-coherence": 0.98,
}
LEAST_STEP = {"tof": 0.005, "m1-lr-psnr": 0.05, "m3-coherence": 0.005}
"""Half of the last digit that is known."""


def frames_of(path: Path, count: int) -> np.ndarray:
    if not path.exists():
        pytest.skip(f"the clip {path.name} is not beside the repository")
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for _, f in zip(range(count), container.decode(video=0), strict=False)]
    h, w = (side // 8 * 8 for side in frames[0].shape[:2])
    return np.stack([f[:h, :w] for f in frames])


@pytest.mark.slow
def test_numbers_of_a_real_clip(reduce) -> None:
    truth = frames_of(CLIPS / CLIP, 16)
    lr = np.stack(reduce(truth))
    size = truth.shape[2], truth.shape[1]
    bicubic = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_CUBIC) for f in lr])
    for metric, answer in measure(BICUBIC, Clips(bicubic, truth, lr)).items():
        expected = BICUBIC[metric]
        close = 0.05 if metric.startswith("psnr") else max(0.01 * expected, LEAST_STEP.get(metric, 0))
        assert answer.value == pytest.approx(expected, abs=close), metric
    assert measure(["vbench-flickering"], Clips(truth))["vbench-flickering"].value == pytest.approx(0.9893, abs=1e-4)
