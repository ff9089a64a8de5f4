"""Numbers measured by another implementation on real clips: bicubic of a clean /4, and the truth.

The clips lie beside the repository, or the tests are skipped. What takes minutes (flow of 1920x1080) is measured where
the environment has LIMPID_SELF_CHECK; docs/metrics.md has all numbers that were found.
"""

from __future__ import annotations

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from limpid.metrics import Clips, measure
from limpid.metrics.fidelity import frame_psnr
from limpid.metrics.kinds import NotMeasurableError
from limpid.metrics.vmaf import find_ffmpeg

CLIPS = Path(__file__).parents[3] / "shared" / "clips"
NAMES = ("psnr", "psnr-y", "ssim", "vmaf", "tof", "vbench-flickering", "m1-lr-psnr", "m2-coherent", "m3-coherence")
BICUBIC: dict[str, tuple[int, tuple[float, ...]]] = {
    "hr_bigbuckbunny_1280x720.mp4": (16, (30.57, 31.97, 0.8121, 61.8, 0.17, 0.9914, 41.5, 1.71, 0.98)),
    "hr_openh264_street_1920x1080.264": (16, (27.04, 28.39, 0.8639, 52.6, 0.98, 0.9520, 38.4, 2.39, 0.82)),
    "hr_flower_960x540.mp4": (16, (38.90, 41.10, 0.9638, 74.5, 0.10, 0.9933, 52.6, 0.49, 0.84)),
    "hr_sam2_juggle_1280x720.mp4": (16, (23.79, 25.36, 0.5713, 49.5, 0.10, 0.9946, 37.0, 2.86, 0.99)),
    "hr_paragliding_854x480.mp4": (16, (33.50, 34.94, 0.8725, 67.1, 2.85, 0.9651, 45.4, 0.98, 0.80)),
    "vid4_walk_GT_720x480": (12, (24.93, 26.27, 0.7766, 52.0, 0.28, 0.9743, 36.5, 2.94, 0.90)),
}
"""Frames, and values of the enlarged clip in the order of `NAMES`."""
TRUTH = {
    "hr_bigbuckbunny_1280x720.mp4": (0.9893, 7.54, 0.98),
    "hr_openh264_street_1920x1080.264": (0.9422, 11.79, 0.88),
    "hr_flower_960x540.mp4": (0.9921, 2.51, 0.86),
    "hr_sam2_juggle_1280x720.mp4": (0.9941, 16.10, 1.00),
    "hr_paragliding_854x480.mp4": (0.9586, 5.04, 0.91),
    "vid4_walk_GT_720x480": (0.9629, 14.07, 0.91),
}
"""Of the truth itself: temporal flickering, coherent detail, coherence."""
LEAST_STEP = {"tof": 0.005, "m1-lr-psnr": 0.05, "m2-coherent": 0.005, "m3-coherence": 0.005, "vmaf": 0.05}
"""Half of the last digit that is known."""
QUICK = ("psnr", "vbench-flickering", "m1-lr-psnr")
EVERYTHING = bool(os.environ.get("LIMPID_SELF_CHECK"))


def frames_of(name: str, count: int) -> np.ndarray:
    """The first frames of a video or of a folder of images, cropped to multiples of 8 from the top left."""
    path = CLIPS / name
    if not path.exists():
        pytest.skip(f"the clip {name} is not beside the repository")
    if path.is_dir():
        frames = [np.asarray(cv2.imread(str(p)))[..., ::-1] for p in sorted(path.glob("*.png"))[:count]]
    else:
        with av.open(str(path)) as container:
            decoded = zip(range(count), container.decode(video=0), strict=False)
            frames = [frame.to_ndarray(format="rgb24") for _, frame in decoded]
    h, w = (side // 8 * 8 for side in frames[0].shape[:2])
    return np.stack([f[:h, :w] for f in frames])


def chosen(name: str) -> tuple[str, ...]:
    names = NAMES if EVERYTHING or "bigbuckbunny" in name else QUICK
    return names if has_vmaf() else tuple(n for n in names if n != "vmaf")


def has_vmaf() -> bool:
    try:
        return bool(find_ffmpeg())
    except NotMeasurableError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("name", BICUBIC)
def test_numbers_of_a_real_clip(name: str, reduce) -> None:  # type: ignore[no-untyped-def]
    count, values = BICUBIC[name]
    truth = frames_of(name, count)
    lr = np.stack(reduce(truth))
    size = truth.shape[2], truth.shape[1]
    bicubic = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_CUBIC) for f in lr])
    for metric, answer in measure(chosen(name), Clips(bicubic, truth, lr)).items():
        expected = values[NAMES.index(metric)]
        close = 0.05 if metric.startswith("psnr") else max(0.01 * expected, LEAST_STEP.get(metric, 0))
        assert answer.value == pytest.approx(expected, abs=close), metric
    names = ("vbench-flickering", "m2-coherent", "m3-coherence")
    found = measure(names if EVERYTHING else names[:1], Clips(truth, truth, lr))
    for (metric, answer), expected in zip(found.items(), TRUTH[name], strict=False):
        assert answer.value == pytest.approx(expected, abs=max(0.01 * expected, LEAST_STEP.get(metric, 0))), metric


def test_clean_area_averaging_of_the_street_at_720p() -> None:
    frames = frames_of("hr_openh264_street_1920x1080.264", 12)
    values = []
    for frame in frames:
        truth = cv2.resize(frame, (1280, 720), interpolation=cv2.INTER_AREA)
        small = cv2.resize(truth, (320, 180), interpolation=cv2.INTER_AREA)
        values.append(frame_psnr(cv2.resize(small, (1280, 720), interpolation=cv2.INTER_CUBIC), truth))
    assert np.mean(values) == pytest.approx(25.66, abs=0.01)
