"""Strategies without strength are the plain sampler, bit by bit; propagation acts when and where it is told to."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from limpid.consistency.combine import Combined
from limpid.consistency.propagation import LatentPropagation
from limpid.consistency.transition import LatentTransition, NoiseRescheduling
from limpid.method import Strategy

from .hallucination import Hallucinating, clip, method, run


class NoFlow:
    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        raise AssertionError("no flow is needed")


@pytest.mark.parametrize(
    "off",
    [
        LatentPropagation(estimator=NoFlow()),
        LatentPropagation(steps=(0, 1), fusion_weight=0.0, estimator=NoFlow()),
        Combined(strategies=()),
        Combined(strategies=(LatentPropagation(estimator=NoFlow()), Strategy())),
        LatentTransition(window_frames=21),
        NoiseRescheduling(window_frames=24, overlap_frames=4),
    ],
    ids=["no steps", "no weight", "nothing combined", "off combined", "one window", "first window"],
)
def test_switched_off_is_exactly_the_plain_sampler(off: Strategy) -> None:
    lr, prior = clip(21, 6, 10), Hallucinating()
    plain = run(method(prior, Strategy(), steps=3), prior, lr)
    assert torch.equal(run(method(prior, off, steps=3), prior, lr), plain)


def test_propagation_looks_for_flow_once_per_lane_and_acts_at_its_steps_only() -> None:
    calls: list[tuple[Tensor, Tensor]] = []

    class Still:
        def __call__(self, first: Tensor, second: Tensor) -> Tensor:
            calls.append((first, second))
            return torch.zeros(len(first), 2, *first.shape[-2:])

    lr, prior = clip(10, 6, 10), Hallucinating()
    outputs = [
        run(method(prior, LatentPropagation(steps=at, estimator=Still()), steps=3), prior, lr)
        for at in ((0, 2), (0, 0.7), (2,))
    ]
    assert len(calls) == 6
    for first, second in calls[::2]:
        assert torch.equal(first, lr[:-1])
        assert torch.equal(second, lr[1:])
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_propagation_leaves_a_single_frame_alone() -> None:
    lr, prior = clip(1, 6, 10), Hallucinating()
    strategy = LatentPropagation(steps=(0, 1), estimator=NoFlow())
    assert torch.equal(
        run(method(prior, strategy, steps=2), prior, lr), run(method(prior, Strategy(), steps=2), prior, lr)
    )
