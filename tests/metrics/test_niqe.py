"""NIQE: values that basicsr 1.4.2 gives for the same photos, and which way it goes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from limpid.metrics import Clips, measure
from limpid.metrics.niqe import frame_niqe


@pytest.mark.parametrize(
    ("photo", "sharp", "blurred"),
    [(data.astronaut, 3.0649, 7.2822), (data.coffee, 4.1152, 8.0570), (data.chelsea, 2.6255, 8.4210)],
)
def test_equal_to_basicsr(photo, sharp: float, blurred: float) -> None:
    """Even blocks have statistics of rounding errors, which no two programs share: hence the width for one photo."""
    picture = photo()
    close = 0.015 if photo is data.astronaut else 1e-3
    assert frame_niqe(picture) == pytest.approx(sharp, rel=close)
    assert frame_niqe(cv2.GaussianBlur(picture, (0, 0), 2)) == pytest.approx(blurred, rel=close)


def test_small_and_empty_pictures_have_a_reason() -> None:
    for frames in (np.zeros((1, 96, 96, 3), np.uint8), np.zeros((1, 192, 192, 3), np.uint8)):
        answer = measure(["niqe"], Clips(frames))["niqe"]
        assert answer.value is None
        assert "blocks" in str(answer)
