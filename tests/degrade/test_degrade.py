"""Degradations and clips from photos."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.degrade import CameraPath, Degradation, degrade, photo_clip
from limpid.video.roundtrip import codec_roundtrip

RANDOM = np.random.default_rng(0)
NOTHING = Degradation(blur_sigma=0, noise_sigma=0, crf=None)


def smooth(t: int, h: int, w: int) -> np.ndarray:
    y, x = np.mgrid[0:h, 0:w]
    picture = np.stack([x * 255 / w, y * 255 / h, (x + y) * 255 / (h + w)], -1)
    return np.repeat(picture[None], t, 0).astype(np.uint8)


def test_without_any_strength_it_is_area_averaging() -> None:
    hr = RANDOM.integers(0, 256, (2, 16, 24, 3), dtype=np.uint8)
    mean = hr.reshape(2, 4, 4, 6, 4, 3).astype(np.float32).mean((2, 4))
    assert np.abs(degrade(hr, NOTHING, seed=0) - mean).max() <= 0.5 + 1e-3


def test_same_seed_same_noise_and_other_seed_other_noise() -> None:
    hr, how = smooth(2, 32, 32), Degradation(crf=None)
    assert np.array_equal(degrade(hr, how, seed=1), degrade(hr, how, seed=1))
    assert not np.array_equal(degrade(hr, how, seed=1), degrade(hr, how, seed=2))


def test_noise_has_the_strength_asked_for() -> None:
    hr = np.full((4, 256, 256, 3), 128, np.uint8)
    lr = degrade(hr, Degradation(blur_sigma=0, noise_sigma=5, crf=None), seed=0)
    assert 4.8 < lr.std() < 5.2
    assert abs(lr.mean() - 128) < 0.2


def test_compression_and_jpeg_keep_shape_and_colour() -> None:
    hr = smooth(3, 64, 96)
    lr = degrade(hr, Degradation(noise_sigma=0, jpeg_quality=60, crf=30), seed=0)
    assert lr.shape == (3, 16, 24, 3)
    assert np.abs(lr.astype(int).mean((0, 1, 2)) - hr.astype(int).mean((0, 1, 2))).max() < 4


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="30x32 is not a multiple of the scale 4"):
        degrade(smooth(1, 32, 30), NOTHING, seed=0)


@settings(max_examples=6, deadline=None)
@given(h=st.integers(16, 40), w=st.integers(16, 40), t=st.integers(1, 4))
def test_round_trip_keeps_any_size(h: int, w: int, t: int) -> None:
    frames = smooth(t, h, w)
    out = codec_roundtrip(frames, crf=10)
    assert out.shape == frames.shape
    assert np.abs(out.astype(int) - frames).mean() < 6


def test_a_still_camera_sees_the_photo() -> None:
    photo = RANDOM.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    clip = photo_clip(photo, CameraPath(center=(29.5, 19.5)), num_frames=2, width=60, height=40)
    assert np.array_equal(clip[0], photo)
    assert np.array_equal(clip[1], photo)


def test_a_pan_by_whole_pixels_is_a_shift() -> None:
    photo = RANDOM.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    path = CameraPath(center=(20.5, 19.5), velocity=(3.0, 1.0))
    clip = photo_clip(photo, path, num_frames=3, width=20, height=20)
    for index in range(3):
        y, x = 10 + index, 11 + 3 * index
        assert np.array_equal(clip[index], photo[y : y + 20, x : x + 20])
