"""Blockiness: known answers, more blocks are more, and blur does not hide them from it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from limpid.degrade.ops import jpeg
from limpid.metrics import Clips, measure
from limpid.metrics.blocks import blockiness

PHOTO = np.ascontiguousarray(data.astronaut())
SMALL = cv2.resize(PHOTO, (128, 128), interpolation=cv2.INTER_AREA)


def enlarged(frame: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(frame, (512, 512), interpolation=cv2.INTER_CUBIC))


def test_noise_knows_of_no_grid_and_a_chessboard_of_blocks_does() -> None:
    noise = np.random.default_rng(0).integers(118, 123, (3, 256, 256, 3), np.uint8)
    assert abs(blockiness(noise, 1)) < 0.05
    levels = np.random.default_rng(0).integers(-4, 5, (32, 32, 1)).repeat(8, 0).repeat(8, 1)
    assert blockiness(np.clip(noise + levels, 0, 255).astype(np.uint8), 1) > 0.5
    moved = np.roll(np.clip(noise + levels, 0, 255).astype(np.uint8), 3, axis=(1, 2))
    assert blockiness(moved, 1) < 0.05


def test_coarser_jpeg_is_blockier_before_and_after_enlarging() -> None:
    coded = [jpeg(SMALL, quality) for quality in (90, 50, 25, 10)]
    for values in ([blockiness([f], 1) for f in coded], [blockiness([enlarged(f)]) for f in coded]):
        assert values == sorted(values) and values[-1] > values[0] + 0.4


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_blur_does_not_win(sigma: float) -> None:
    """Blocks that are blurred, as far as anyone would, still count more than a clean picture, blurred or not."""
    blocky = cv2.GaussianBlur(enlarged(jpeg(SMALL, 15)), (0, 0), sigma)
    clean = enlarged(SMALL)
    assert blockiness([blocky]) > blockiness([clean]) + 0.05
    assert blockiness([blocky]) > blockiness([cv2.GaussianBlur(clean, (0, 0), sigma)]) + 0.05


def test_contrast_changes_nothing() -> None:
    frame = enlarged(jpeg(SMALL, 20)).astype(np.float32)
    assert blockiness([frame / 2]) == pytest.approx(blockiness([frame]), rel=1e-3)


def test_what_is_not_defined_is_refused() -> None:
    with pytest.raises(ValueError, match="scale 1 and 4"):
        blockiness([PHOTO], 2)
    with pytest.raises(ValueError, match="of no frames"):
        blockiness([])
    with pytest.raises(ValueError, match="too small"):
        blockiness([PHOTO[:64, :64]])


def test_the_catalogue_has_it() -> None:
    low = np.stack([jpeg(SMALL, 20)] * 2)
    found = measure(["blockiness"], Clips(sr=np.stack([enlarged(f) for f in low]), lr=low))["blockiness"]
    assert found.value == pytest.approx(100 * blockiness([enlarged(low[0])]), rel=1e-4)
    assert measure(["blockiness"], Clips(sr=low, lr=low))["blockiness"].value is None
