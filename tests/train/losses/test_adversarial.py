"""Hinge and adaptive weight by hand; critics: what they see, and their spectral norm."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from limpid.train.losses.adversarial import adaptive_weight, critic_hinge, generator_hinge
from limpid.train.networks.critics import NormedConv2d, PatchCritic, TemporalPatchCritic, spectral_norm


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_hinge() -> None:
    true, made = torch.tensor([[2.0, 0.5], [-1.0, 1.0]]), torch.tensor([[-2.0, 0.0], [1.0, -0.5]])
    assert critic_hinge(true, made).tolist() == [(0.25 + 0.5) / 2, (1.0 + 1.25) / 2]
    assert generator_hinge(made).tolist() == [1.0, -0.25]


def test_adaptive_weight_is_the_ratio_of_gradients_of_each_clip() -> None:
    layer = nn.Parameter(normal(3, 2))
    seen = normal(2, 3, 2, seed=1)

    def make(clips: Tensor) -> Tensor:
        return clips * layer

    def ratio(clip: int) -> float:
        made = make(seen[clip : clip + 1])
        norms = [torch.autograd.grad(f(made), layer, retain_graph=True)[0].norm() for f in (first, second)]
        return float(norms[0] / norms[1])

    def first(made: Tensor) -> Tensor:
        return made.square().flatten(1).sum(1)

    def second(made: Tensor) -> Tensor:
        return made.sin().flatten(1).sum(1)

    made = make(seen)
    found = adaptive_weight(first(made), second(made), made, layer)
    assert found.tolist() == pytest.approx([ratio(0), ratio(1)], rel=1e-3)
    assert not found.requires_grad
    still = make(seen)
    assert adaptive_weight(first(still), 0 * second(still), still, layer).tolist() == [1e4, 1e4]


# ---------------------------------------------------------------------------------------------- critics


def test_spectral_norm_and_its_gradient() -> None:
    weight = normal(4, 3, 2, 2).double().requires_grad_()
    assert float(spectral_norm(weight).detach()) == pytest.approx(
        float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2)), rel=1e-5
    )
    (slope,) = torch.autograd.grad(spectral_norm(weight), weight)
    (exact,) = torch.autograd.grad(torch.linalg.matrix_norm(weight.flatten(1), 2), weight)
    assert torch.allclose(slope, exact, atol=1e-4)
    layer = NormedConv2d(3, 4, 2, bias=False)
    layer.weight.data *= 7
    plain = nn.functional.conv2d(normal(1, 3, 5, 5), layer.weight)
    assert torch.allclose(layer(normal(1, 3, 5, 5)) * spectral_norm(layer.weight), plain, atol=1e-5)


@pytest.mark.parametrize("make", [PatchCritic, TemporalPatchCritic])
def test_clips_are_judged_by_themselves(make: type[nn.Module]) -> None:
    critic = make(width=8, levels=3)
    clips = normal(3, 4, 3, 40, 48)
    said = critic(clips)
    assert said.shape[0] == 3
    assert torch.allclose(said[1:2], critic(clips[1:2]), atol=1e-6)
    assert torch.equal(critic(clips), said)


def test_frames_are_judged_together_only_over_time() -> None:
    changed = normal(1, 4, 3, 40, 48)
    clips = changed.clone()
    changed[:, 3] += 1
    by_frame, over_time = PatchCritic(8, 3), TemporalPatchCritic(8, 3)
    assert torch.allclose(by_frame(clips)[:, :3], by_frame(changed)[:, :3], atol=1e-6)
    assert not torch.allclose(over_time(clips)[:, 2], over_time(changed)[:, 2], atol=1e-4)


def test_shapes_of_the_papers() -> None:
    """Six levels halve 320 px to 5 patches, three 256 px to 30."""
    with torch.device("meta"):
        critic = TemporalPatchCritic()
    assert [layer.weight.shape[:2] for layer in critic.layers] == [
        (64, 3),
        (128, 64),
        (256, 128),
        (256, 256),
        (256, 256),
    ]
    assert PatchCritic(4)(normal(1, 1, 3, 256, 256)).shape == (1, 1, 30, 30)
    assert TemporalPatchCritic(4)(normal(1, 2, 3, 320, 320)).shape == (1, 2, 5, 5)
