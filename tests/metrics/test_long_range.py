"""Detail at a distance: against the reference, and by reaction to texture that is handed over."""

from __future__ import annotations

from types import ModuleType

import cv2
import numpy as np
import pytest

from limpid.metrics import long_range
from limpid.metrics.detail import detail

Clip = tuple[list[np.ndarray], list[np.ndarray]]


def textured(frames: list[np.ndarray], *, every: int, faded: bool = True) -> list[np.ndarray]:
    """A blurry picture with invented texture, a new one every so many frames, handed over smoothly or with a cut."""
    random = np.random.default_rng(2)
    h, w = frames[0].shape[:2]
    textures = [detail(random.normal(0, 8, (h, w)).astype(np.float32)) for _ in range(len(frames) // every + 2)]
    out = []
    for number, frame in enumerate(frames):
        part, phase = number // every, (number % every) / every if faded else 0.0
        texture = np.sqrt(1 - phase) * textures[part] + np.sqrt(phase) * textures[part + 1]
        out.append(np.clip(cv2.GaussianBlur(frame, (0, 0), 2) + texture[..., None], 0, 255))
    return out


def test_equals_the_reference(still: Clip, reference: ModuleType) -> None:
    truth, lr = still
    for frames in (truth, textured(truth, every=8)):
        expected = reference.long_range(frames, lr)
        ours = long_range(frames, lr).correlation
        assert list(ours) == [1, 8, 16, 32]
        for lag, value in ours.items():
            assert value == pytest.approx(expected[f"lag{lag}"], rel=1e-4)


def test_equals_the_reference_where_half_of_the_picture_moves(still: Clip, reference: ModuleType) -> None:
    truth, lr = still
    moving = [f.copy() for f in lr[:12]]
    for number, frame in enumerate(moving):
        frame[:, 20:] = np.roll(frame[:, 20:], number, axis=1)
    expected = reference.long_range(textured(truth[:12], every=8), moving, lags=(1, 8))
    ours = long_range(textured(truth[:12], every=8), moving, lags=(1, 8)).correlation
    assert ours[8] == pytest.approx(expected["lag8"], rel=1e-4)


def test_a_hand_over_every_8_frames_is_forgotten_soon(still: Clip) -> None:
    truth, lr = still
    clean = long_range(truth, lr).correlation
    fixed = long_range(textured(truth, every=1000, faded=False), lr).correlation
    faded = long_range(textured(truth, every=8), lr).correlation
    cut = long_range(textured(truth, every=8, faded=False), lr).correlation
    for lag in (1, 8, 16, 32):
        assert clean[lag] == pytest.approx(1, abs=1e-3)
        assert fixed[lag] == pytest.approx(1, abs=1e-3)
    assert faded[1] > 0.9 > cut[1] > 0.7, "the hand-over hides from neighbours"
    for lag in (8, 16, 32):
        assert faded[lag] < 0.8 * clean[lag]
        assert cut[lag] < 0.8 * clean[lag]


def test_blur_hides_nothing(still: Clip) -> None:
    truth, lr = still
    blurred = [cv2.GaussianBlur(f, (0, 0), 1.0) for f in textured(truth, every=8)]
    healed = long_range(blurred, lr, lags=[32]).correlation[32]
    clean = long_range(truth, lr, lags=[32]).correlation[32]
    assert healed is not None
    assert clean is not None
    assert healed < 0.9 * clean


def test_unknown_is_none(still: Clip, long_pan: Clip) -> None:
    truth, lr = still
    assert long_range(truth[:9], lr[:9]).correlation[16] is None, "too short"
    assert set(long_range(*long_pan, lags=[8]).correlation.values()) == {None}, "all of it moves"
    flat = [np.full_like(f, 90) for f in truth[:4]]
    assert long_range(flat, [f[::4, ::4] for f in flat], lags=[1]).correlation[1] is None, "no detail"


def test_generators_will_do(still: Clip) -> None:
    truth, lr = still
    assert long_range(iter(truth[:20]), iter(lr[:20])) == long_range(truth[:20], lr[:20])


def test_impossible_questions_are_refused(still: Clip) -> None:
    truth, lr = still
    with pytest.raises(ValueError, match=r"shorter|longer"):
        long_range(truth[:3], lr[:2])
    for lags in ([], [0, 8]):
        with pytest.raises(ValueError, match="lags"):
            long_range(truth, lr, lags=lags)
