"""Distances between clips against slow loops, known answers and finite differences."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from limpid.train.losses import pixels
from limpid.train.losses.diffusion import per_clip
from limpid.train.losses.structure import sobel, structure_weighted_consistency, structure_weights


def clips(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


MADE, TRUTH = clips(2, 3, 3, 6, 7), clips(2, 3, 3, 6, 7, seed=1)


# ---------------------------------------------------------------------------------------------- pixels


def test_the_terms_of_an_error_that_grows_to_the_right_and_in_time() -> None:
    error = torch.arange(4.0).expand(1, 1, 3, 5, 4) + torch.tensor([0.0, 0.5])[None, :, None, None, None]
    terms = pixels.error_terms(error, smooth=1.0, gradient_weight=2.0, difference_weight=0.1)
    assert torch.isclose(terms["charbonnier"], (error.square() + 1).sqrt().mean())
    assert torch.isclose(terms["gradient"], torch.tensor(2.0))  # 1 along rows, 0 along columns
    assert torch.isclose(terms["difference"], torch.tensor(0.05))
    assert set(pixels.error_terms(error, smooth=1.0, gradient_weight=0, difference_weight=0)) == {"charbonnier"}


def test_by_hand() -> None:
    offset = torch.tensor([0.5, -0.25]).reshape(2, 1, 1, 1, 1)
    assert torch.allclose(pixels.l1(TRUTH + offset, TRUTH), torch.tensor([0.5, 0.25]))
    assert torch.allclose(per_clip(pixels.charbonnier(offset, 1.0)), torch.tensor([1.25, 1.0625]).sqrt())
    assert torch.allclose(per_clip(pixels.charbonnier(0 * offset, 1e-6)), torch.full((2,), 1e-3))
    assert pixels.frame_difference(TRUTH + offset, TRUTH).abs().max() < 1e-6
    assert pixels.multi_scale_gradient(TRUTH + offset, TRUTH).abs().max() < 1e-6


def test_frame_difference_is_mgld_equation_4() -> None:
    """A loop over pairs and pixels."""
    for b in range(2):
        total, count = 0.0, 0
        for i, c, y, x in itertools.product(range(2), range(3), range(6), range(7)):
            made = float(MADE[b, i + 1, c, y, x] - MADE[b, i, c, y, x])
            total += abs(made - float(TRUTH[b, i + 1, c, y, x] - TRUTH[b, i, c, y, x]))
            count += 1
        assert float(pixels.frame_difference(MADE, TRUTH)[b]) == pytest.approx(total / count, rel=1e-5)


def test_one_frame_has_no_neighbours() -> None:
    one = MADE[:, :1].clone().requires_grad_()
    nothing = torch.zeros(2, 0, 2, 6, 7)
    for loss in (
        pixels.frame_difference(one, TRUTH[:, :1]),
        structure_weighted_consistency(one, TRUTH[:, :1], nothing, nothing),
    ):
        assert loss.tolist() == [0, 0]
        loss.sum().backward()


def test_gradients_at_several_sizes() -> None:
    """A ramp of slope 0.01 per pixel rises 0.01, 0.02 and 0.04 between neighbours at the three sizes."""
    made = (0.01 * torch.arange(16.0)).expand(1, 1, 3, 16, 16)
    assert float(pixels.multi_scale_gradient(made, torch.zeros(1, 1, 3, 16, 16))) == pytest.approx(0.07)
    assert float(pixels.multi_scale_gradient(made[..., :3, :3], torch.zeros(1, 1, 3, 3, 3))) == pytest.approx(0.01)


# ---------------------------------------------------------------------------------------------- structure


def test_sobel_of_steps_ramps_and_nothing() -> None:
    step = torch.zeros(1, 3, 8, 8)
    step[..., 4:] = 1
    edges = sobel(step)
    assert edges[0, 0, 3].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert torch.equal(sobel(step.mT), edges.mT)
    ramp = (0.1 * torch.arange(8.0)).expand(1, 3, 8, 8)
    assert torch.allclose(sobel(ramp)[..., 1:-1], torch.tensor(0.2))
    assert sobel(torch.full((1, 3, 8, 8), 0.3)).max() < 1e-6
    assert torch.equal(structure_weights(step[None], 3.0)[0, 0], 1 + 3 * edges[0])


def slow_consistency(made: Tensor, truth: Tensor, forward: Tensor, backward: Tensor, w: float) -> list[float]:
    """MGLD Eq. 5, pixel by pixel, for flows of whole pixels."""
    weights = structure_weights(truth, w)
    (b, t, c, height, width), result = made.shape, []
    for clip in range(b):
        total = 0.0
        for i in range(t - 1):
            pairs = ((i, i + 1, backward, forward), (i + 1, i, forward, backward))
            for (source, target, flow, back), y, x in itertools.product(pairs, range(height), range(width)):
                dx, dy = (int(v) for v in flow[clip, i, :, y, x])
                if not (0 <= x + dx < width and 0 <= y + dy < height):
                    continue
                there = back[clip, i, :, y + dy, x + dx]
                there_and_back = (flow[clip, i, :, y, x] + there).square().sum()
                if there_and_back >= 0.01 * (dx**2 + dy**2 + there.square().sum()) + 0.5:
                    continue
                error = (made[clip, source, :, y + dy, x + dx] - made[clip, target, :, y, x]).abs().sum()
                total += float(weights[clip, target, 0, y, x] * error)
        result.append(total / ((t - 1) * c * height * width))
    return result


def whole_flows(seed: int) -> Tensor:
    return torch.randint(-1, 2, (2, 2, 2, 6, 7), generator=torch.Generator().manual_seed(seed)).float()


@pytest.mark.parametrize("w", [0.0, 3.0])
def test_consistency_is_mgld_equation_5(w: float) -> None:
    forward, backward = whole_flows(3), whole_flows(4)
    found = structure_weighted_consistency(MADE, TRUTH, forward, backward, w)
    assert found.tolist() == pytest.approx(slow_consistency(MADE, TRUTH, forward, backward, w), rel=1e-4)


def test_what_moves_along_the_flow_costs_nothing_and_a_still_clip_is_exact() -> None:
    """The restored frames are compared, along the true motion: the truth itself is not asked about."""
    large = clips(1, 1, 3, 12, 20, seed=5)
    moving = torch.cat([large[..., i : i + 12] for i in range(3)], dim=1)
    forward = torch.zeros(1, 2, 2, 12, 12)
    forward[:, :, 0] = -1
    truth = clips(1, 3, 3, 12, 12, seed=6)
    assert float(structure_weighted_consistency(moving, truth, forward, -forward)) < 1e-5
    assert float(structure_weighted_consistency(moving, truth, -forward, forward)) > 0.1
    still = large[..., :12].expand(1, 3, 3, 12, 12)
    assert float(structure_weighted_consistency(still, truth, forward * 0, forward * 0)) < 1e-6
    assert float(structure_weighted_consistency(truth, still, forward * 0, forward * 0)) > 0.1


def test_gradients_are_those_of_finite_differences() -> None:
    made = clips(1, 2, 3, 4, 5, seed=7, dtype=torch.float64).requires_grad_()
    truth, flow = clips(1, 2, 3, 4, 5, seed=8, dtype=torch.float64), torch.zeros(1, 1, 2, 4, 5, dtype=torch.float64)
    losses = [
        lambda x: pixels.charbonnier(x - truth, 0.01),
        lambda x: pixels.frame_difference(x, truth),
        lambda x: structure_weighted_consistency(x, truth, flow, flow),
        lambda x: pixels.multi_scale_gradient(x, truth),
    ]
    random = torch.Generator().manual_seed(9)
    for loss in losses:
        (slope,) = torch.autograd.grad(loss(made).sum(), made)
        direction = torch.randn(made.shape, generator=random, dtype=torch.float64)
        with torch.no_grad():
            change = (loss(made + 1e-4 * direction) - loss(made - 1e-4 * direction)).sum() / 2e-4
        assert float((slope * direction).sum()) == pytest.approx(float(change), rel=2e-2, abs=1e-3)


def test_a_clip_counts_the_same_in_any_batch() -> None:
    forward, backward = whole_flows(3), whole_flows(4)
    together = structure_weighted_consistency(MADE, TRUTH, forward, backward)
    alone = [structure_weighted_consistency(*(x[i : i + 1] for x in (MADE, TRUTH, forward, backward))) for i in (0, 1)]
    assert torch.allclose(together, torch.cat(alone))
