"""PSNR and the split of detail: against a reference where its data is at hand, and by reaction to known faults."""

from __future__ import annotations

from types import ModuleType

import cv2
import numpy as np
import pytest

from limpid.metrics import detail_stability, input_flows, psnr
from limpid.metrics.detail import enlarge_luma, luma, reduce_luma

Clip = tuple[list[np.ndarray], list[np.ndarray]]
RANDOM = np.random.default_rng(0)


def test_psnr_of_known_error() -> None:
    a = np.full((2, 8, 8, 3), 100, np.uint8)
    assert psnr(a, a + 5) == pytest.approx(20 * np.log10(255 / 5))
    assert psnr(a, a) == float("inf")


def test_psnr_refuses_what_does_not_match() -> None:
    a = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        psnr(a, a[:1])
    with pytest.raises(ValueError, match="cannot be compared"):
        psnr(a, a[:, :4])


def test_equal_to_the_reference(clip: Clip, reference: ModuleType) -> None:
    truth, lr = clip
    expected = reference.detail_stability(truth, reference.lr_flows(lr))
    ours = detail_stability(truth, input_flows(lr))
    assert ours.coherent_rms == pytest.approx(expected["coherent_rms"], rel=1e-4)
    assert ours.incoherent_rms == pytest.approx(expected["incoherent_rms"], rel=1e-4)
    assert ours.coherence == pytest.approx(expected["coherence"], rel=1e-4)


def test_blur_has_no_detail_and_flicker_is_incoherent(clip: Clip) -> None:
    truth, lr = clip
    flows = input_flows(lr)
    sharp = detail_stability(truth, flows)
    blurred = detail_stability([cv2.GaussianBlur(f, (0, 0), 4) for f in truth], flows)
    noise = [np.clip(f + RANDOM.normal(0, 8, f.shape), 0, 255) for f in truth]
    flicker = detail_stability(noise, flows)
    assert blurred.coherent_rms < 0.1 * sharp.coherent_rms
    assert flicker.incoherent_rms > 1.5 * sharp.incoherent_rms
    assert flicker.coherent_rms == pytest.approx(sharp.coherent_rms, rel=0.05)


def test_a_smooth_ramp_survives_the_small_grid() -> None:
    ramp = np.tile(np.linspace(0, 200, 64, dtype=np.float32), (32, 1))
    inner = enlarge_luma(reduce_luma(ramp), 32, 64)[8:-8, 8:-8]
    # OpenCV's kernel (a = -0.75) does not keep ramps exactly: it is off by up to 5 % of the step between LR pixels
    assert np.abs(inner - ramp[8:-8, 8:-8]).max() < 0.05 * 4 * 200 / 63
    assert luma(np.full((1, 1, 3), 255, np.uint8))[0, 0] == pytest.approx(255)


def test_a_pair_without_trusted_flow_is_left_out(clip: Clip) -> None:
    truth, lr = clip
    flows = input_flows(lr)
    nothing = (flows[0][0], np.zeros_like(flows[0][1]))
    assert detail_stability(truth, [nothing, *flows[1:]]) == detail_stability(truth[1:], flows[1:])
    with pytest.raises(ValueError, match="no two neighbouring frames"):
        detail_stability(truth[:2], [nothing])
