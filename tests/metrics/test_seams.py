"""Seams in time and between tiles: against the reference, and by reaction to seams that are put in."""

from __future__ import annotations

from types import ModuleType

import cv2
import numpy as np
import pytest

from limpid.metrics import input_flows, segment_seam, tile_jump
from limpid.metrics.detail import detail, luma

Clip = tuple[list[np.ndarray], list[np.ndarray]]
Flows = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def flows(long_pan: Clip) -> Flows:
    return input_flows(long_pan[1])


def with_new_texture(frames: list[np.ndarray], every: int) -> list[np.ndarray]:
    """A blurry picture with invented texture, which moves with the pan; a new one in every segment."""
    random = np.random.default_rng(1)
    h, w = frames[0].shape[:2]
    out = []
    for number, frame in enumerate(frames):
        if number % every == 0:
            texture = random.normal(0, 8, (h + 32, w + 32)).astype(np.float32)
        move = np.array([[1, 0, 1.3 * number], [0, 1, 0.6 * number]])
        seen = cv2.warpAffine(texture, move, (w, h), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        out.append(np.clip(cv2.GaussianBlur(frame, (0, 0), 2) + detail(seen)[..., None], 0, 255))
    return out


def with_tile_step(frames: list[np.ndarray], column: int, levels: float) -> list[np.ndarray]:
    step = np.where(np.arange(frames[0].shape[1]) >= column, levels / 2, -levels / 2)
    return [np.clip(f + step[None, :, None], 0, 255) for f in frames]


def test_segment_seam_equals_the_reference(long_pan: Clip, flows: Flows, reference: ModuleType) -> None:
    for frames in (long_pan[0], with_new_texture(long_pan[0], every=8)):
        expected = reference.detail_stability(frames, flows, boundaries=(4, 8))
        ours = segment_seam(frames, flows, (4, 8))
        assert ours.ratio == pytest.approx(expected["segment_seam"], rel=1e-4)
        assert ours.z == pytest.approx(expected["segment_z"], rel=1e-3)


def test_tile_jump_equals_the_reference(long_pan: Clip, reference: ModuleType) -> None:
    frames, lr = with_tile_step(long_pan[0], 80, 1.0), long_pan[1]
    for across, axis in (("columns", 1), ("rows", 0)):
        expected = reference.tile_seam(frames, lr, [40, 80], axis=axis)
        ours = tile_jump(frames, lr, [40, 80], across=across)  # type: ignore[arg-type]
        assert ours.levels == pytest.approx(expected["tile_jump_levels"], abs=1e-4)
        assert ours.z == pytest.approx(expected["tile_z"], rel=1e-3)


def test_a_new_texture_per_segment_is_a_seam(long_pan: Clip, flows: Flows) -> None:
    clean = segment_seam(long_pan[0], flows, [8])
    assert clean.ratio < 1.5
    assert clean.z < 3
    invented = with_new_texture(long_pan[0], every=8)
    seam = segment_seam(invented, flows, [8])
    assert seam.ratio > 3 * clean.ratio
    assert seam.z > 6
    assert segment_seam(invented, flows, [5]).ratio < 1.5, "no segment begins there"


def test_blur_does_not_hide_a_segment_seam(long_pan: Clip, flows: Flows) -> None:
    clean = segment_seam(long_pan[0], flows, [8])
    blurred = [cv2.GaussianBlur(f, (0, 0), 1.0) for f in with_new_texture(long_pan[0], every=8)]
    assert segment_seam(blurred, flows, [8]).z > clean.z + 3


def test_tile_steps_are_ranked_by_size(long_pan: Clip) -> None:
    truth, lr = long_pan
    sizes = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
    jumps = [tile_jump(with_tile_step(truth, 80, size), lr, [80]) for size in sizes]
    levels, z = [j.levels for j in jumps], [j.z for j in jumps]
    assert levels == sorted(levels)
    assert z == sorted(z)
    assert levels[-1] == pytest.approx(sizes[-1], rel=0.2), "not all: white cannot become brighter"
    assert z[0] < 4 < z[3]


def test_a_step_elsewhere_or_along_the_other_direction_does_not_count(long_pan: Clip) -> None:
    truth, lr = long_pan
    stepped = with_tile_step(truth, 80, 2.0)
    assert tile_jump(stepped, lr, [40]).z < 4
    assert tile_jump(stepped, lr, [64], across="rows").z < 4
    turned = [np.swapaxes(f, 0, 1) for f in stepped]
    rows = tile_jump(turned, [np.swapaxes(f, 0, 1) for f in lr], [80], across="rows")
    assert rows.levels == pytest.approx(tile_jump(stepped, lr, [80]).levels, abs=1e-3)


def test_blur_is_not_a_way_around_tile_jumps(long_pan: Clip) -> None:
    truth, lr = long_pan
    blurred = [cv2.GaussianBlur(f, (0, 0), 1.5) for f in with_tile_step(truth, 80, 4.0)]
    assert tile_jump(blurred, lr, [80]).levels > tile_jump(truth, lr, [80]).levels + 2


def test_impossible_questions_are_refused(long_pan: Clip, flows: Flows) -> None:
    truth, lr = long_pan
    for borders in ([], [0], [16]):
        with pytest.raises(ValueError, match="segment border"):
            segment_seam(truth, flows, borders)
    with pytest.raises(ValueError, match="elsewhere"):
        segment_seam(truth[:2], flows[:1], [1])
    for seams in ([], [7], [152], [-80]):
        with pytest.raises(ValueError, match="tile seam"):
            tile_jump(truth, lr, seams)
    with pytest.raises(ValueError, match="far enough"):
        tile_jump(truth[:1], lr[:1], range(8, 152, 8))
    with pytest.raises(ValueError, match="at least one frame"):
        tile_jump([], [], [80])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        tile_jump(truth, lr[:3], [80])


def test_pairs_across_a_cut_are_left_out(long_pan: Clip, flows: Flows) -> None:
    truth, _ = long_pan
    cut = [*flows[:3], (flows[3][0], np.zeros_like(flows[3][1])), *flows[4:]]
    seam = segment_seam(truth, cut, [8])
    assert np.isfinite([seam.ratio, seam.z]).all()
    assert luma(truth[0]).shape == cut[3][1].shape
