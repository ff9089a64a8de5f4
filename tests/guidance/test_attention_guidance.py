"""DSSAG, SAG and PAG against the papers' equations with attention written out; passes, limits, layers put back."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from limpid.attention.layers import self_attentions
from limpid.diffusion.schedules import Betas, karras_steps, truncate, vp_steps
from limpid.guidance.arithmetic import added, extrapolated
from limpid.guidance.choice import changes_attention, choose_guidance, most_calls
from limpid.guidance.classifier_free import ClassifierFree
from limpid.guidance.dssag import DetailSuppression, suppression
from limpid.guidance.pag import PerturbedAttention
from limpid.guidance.sag import SelfAttentionGuidance, gaussian_blur, mask_like
from limpid.types import Prediction, SettingsError, Step

from ..attention.explicit import AttentionStack, Told, softmax_attention

STEPS = karras_steps(5, 0.5, 4.0)
STEP = STEPS[1]
OUTER, MIDDLE = (0, 1, 3, 4), 2


@pytest.fixture
def z() -> Tensor:
    return torch.randn(1, 8, 3, 8, 6, generator=torch.Generator().manual_seed(0))


class Run:
    """One guided prediction of an `AttentionStack`, and the branches it asked for."""

    def __init__(self) -> None:
        self.prior: Any = AttentionStack()
        self.branches: list[str] = []

    def predict(self, guidance: Any, z: Tensor, step: Step = STEP) -> Prediction:
        def denoise(z: Tensor, condition: Any, branch: str) -> Prediction:
            self.branches.append(branch)
            return self.prior.denoise(z, step, condition)

        out: Prediction = guidance.predict(self.prior, denoise, z, step, Told())
        return out


def plain(z: Tensor, told: Told, step: Step = STEP) -> Prediction:
    return AttentionStack().explicit(z, step, told, lambda i, q, k, v: softmax_attention(q, k, v))


def same(actual: Prediction, expected: Prediction) -> None:
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


# ---------------------------------------------------------------------------------------------- DSSAG


def suppressed(z: Tensor, told: Told, gamma: float, step: Step = STEP) -> Prediction:
    return AttentionStack().explicit(
        z, step, told, lambda i, q, k, v: softmax_attention(q, k, v, gamma if i in OUTER else None)
    )


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("classifier_free", [True, False])
def test_dssag_is_dc_vsr_equations_8_and_9(z: Tensor, index: int, classifier_free: bool) -> None:
    step, w = STEPS[index], 2.5
    shares = [(math.log(s.sigma) - math.log(0.5)) / (math.log(4.0) - math.log(0.5)) for s in STEPS]
    gamma = max(shares[index], 0.0) ** 0.5
    weak = suppressed(z, Told(0.0) if classifier_free else Told(), gamma, step)
    expected = extrapolated(weak, plain(z, Told(), step), 1 + (w - 1))
    run = Run()
    same(run.predict(DetailSuppression(scale=w, classifier_free=classifier_free), z, step), expected)
    last = index == 4 and not classifier_free
    assert run.branches == (["main"] if last else ["suppressed", "main"])


def test_gamma_falls_from_one_to_zero() -> None:
    steps = karras_steps(25, 0.002, 700.0)
    gammas = [suppression(step, 0.5) for step in steps]
    assert gammas[0] == 1.0 and gammas[-1] == 0.0 and gammas == sorted(gammas, reverse=True)
    middle = steps[12]
    assert gammas[12] == pytest.approx((math.log(middle.sigma / 0.002) / math.log(700 / 0.002)) ** 0.5)
    assert suppression(middle, 1.0) == pytest.approx(gammas[12] ** 2)


def test_gamma_of_a_vp_schedule_goes_by_noise_per_signal() -> None:
    steps = vp_steps(10, Betas())
    gammas = [suppression(step, 0.5) for step in steps]
    assert gammas[0] == 1.0 and gammas[-1] == 0.0 and gammas == sorted(gammas, reverse=True)


def test_gamma_belongs_to_the_noise_and_not_to_the_run() -> None:
    """A run of less strength begins where the schedule has less noise."""
    steps = karras_steps(10, 0.002, 700.0)
    for strength in (0.5, 0.35):
        rest = truncate(steps, strength)
        assert suppression(rest[-1], 0.5) == 0.0
        assert suppression(rest[1], 0.5) == suppression(steps[-len(rest) + 1], 0.5)
        assert suppression(rest[0], 0.5) < 1.0


def test_one_step_and_unknown_schedules() -> None:
    assert suppression(karras_steps(1, 0.002, 700.0)[0], 0.5) == 1.0
    with pytest.raises(ValueError, match="noise range"):
        suppression(replace(STEP, noise_range=None), 0.5)


# ---------------------------------------------------------------------------------------- PAG and SAG


def only_itself(z: Tensor, told: Told) -> Prediction:
    return AttentionStack().explicit(z, STEP, told, lambda i, q, k, v: v if i == MIDDLE else softmax_attention(q, k, v))


def test_pag_is_dc_vsr_equation_6(z: Tensor) -> None:
    expected = extrapolated(only_itself(z, Told()), plain(z, Told()), 2.5)
    same(Run().predict(PerturbedAttention(scale=2.5, classifier_free=False), z), expected)


def test_pag_with_cfg(z: Tensor) -> None:
    guided = extrapolated(plain(z, Told(0.0)), plain(z, Told()), 2.5)
    expected = added(guided, only_itself(z, Told()), plain(z, Told()), 3.0)
    same(Run().predict(PerturbedAttention(scale=2.5), z), expected)


def blurred(z: Tensor, told: Told) -> Prediction:
    """SAG's second prediction, by its definition: mask, blur of the clean latent, the noise put back."""
    columns: list[Tensor] = []

    def attend(i: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if i == MIDDLE:
            weights = softmax_attention(q, k, torch.eye(48).expand(3, 2, 48, 48))
            columns.append(weights.mean(dim=1).sum(dim=1))
        return softmax_attention(q, k, v)

    base = AttentionStack().explicit(z, STEP, told, attend)
    mask = (columns[0].reshape(1, 1, 3, 8, 6) > 1.0).float()
    assert 0.1 < mask.mean() < 0.9
    clean = mask * slow_blur(base.x0) + (1 - mask) * base.x0
    weak = plain(STEP.alpha * clean + STEP.sigma * base.eps, told)
    return Prediction(x0=(z - STEP.sigma * weak.eps) / STEP.alpha, eps=weak.eps)


def slow_blur(x: Tensor) -> Tensor:
    offsets = range(-4, 5)
    out, total = torch.zeros_like(x), 0.0
    rows, columns = torch.arange(x.shape[-2]), torch.arange(x.shape[-1])
    for down in offsets:
        for right in offsets:
            weight = math.exp(-0.5 * (down**2 + right**2))
            moved = x[..., (rows + down).clamp(0, x.shape[-2] - 1), :]
            out += weight * moved[..., (columns + right).clamp(0, x.shape[-1] - 1)]
            total += weight
    return out / total


def test_sag_is_dc_vsr_equation_5(z: Tensor) -> None:
    expected = extrapolated(blurred(z, Told()), plain(z, Told()), 2.5)
    same(Run().predict(SelfAttentionGuidance(scale=2.5, classifier_free=False), z), expected)


def test_sag_with_cfg(z: Tensor) -> None:
    without = Told(0.0)
    guided = extrapolated(plain(z, without), plain(z, Told()), 2.5)
    expected = added(guided, blurred(z, without), plain(z, without), 0.75)
    same(Run().predict(SelfAttentionGuidance(scale=2.5), z), expected)


def test_the_blur(z: Tensor) -> None:
    torch.testing.assert_close(gaussian_blur(z), slow_blur(z), rtol=0, atol=1e-5)
    torch.testing.assert_close(gaussian_blur(torch.ones(1, 1, 1, 2, 3)), torch.ones(1, 1, 1, 2, 3))


def test_masks_are_as_large_as_the_latent() -> None:
    """The middle block of a network on 15x31 sees 2x4."""
    sums = torch.zeros(2, 8)
    sums[1, 5] = 2.0
    mask = mask_like(sums, torch.zeros(1, 4, 2, 15, 31))
    assert mask.shape == (1, 1, 2, 15, 31) and not mask[0, 0, 0].any()
    assert mask[0, 0, 1].nonzero().min(dim=0).values.tolist() == [8, 8]
    assert mask[0, 0, 1].nonzero().max(dim=0).values.tolist() == [14, 15]


# -------------------------------------------------------------------------- passes, limits, layers restored


@pytest.mark.parametrize(
    ("guidance", "calls"),
    [
        (ClassifierFree(scale=2.0), 2),
        (DetailSuppression(scale=2.0), 2),
        (DetailSuppression(scale=2.0, classifier_free=False), 2),
        (SelfAttentionGuidance(scale=2.0), 3),
        (PerturbedAttention(scale=2.0), 3),
        (SelfAttentionGuidance(scale=2.0, classifier_free=False), 2),
        (PerturbedAttention(scale=2.0, classifier_free=False), 2),
        (SelfAttentionGuidance(scale=1.0), 2),
        (PerturbedAttention(scale=1.0), 2),
        (DetailSuppression(scale=1.0), 1),
        (DetailSuppression(scale=1.0, classifier_free=False), 1),
        (SelfAttentionGuidance(scale=1.0, classifier_free=False), 1),
        (PerturbedAttention(scale=1.0, classifier_free=False), 1),
    ],
    ids=str,
)
def test_network_calls(z: Tensor, guidance: Any, calls: int) -> None:
    run = Run()
    found = run.prior.processors()
    out = run.predict(guidance, z)
    assert run.prior.calls == calls == len(set(run.branches)), "every branch has a name of its own"
    assert all(a is b for a, b in zip(run.prior.processors(), found, strict=True))
    assert calls <= guidance.calls and (calls == guidance.calls or guidance.scale == 1.0)
    if calls == 1:
        same(out, plain(z, Told()))


def test_members_that_the_engine_asks_for() -> None:
    assert most_calls(None) == 1 and most_calls(PerturbedAttention(scale=2.0)) == 3
    for kind in (DetailSuppression, SelfAttentionGuidance, PerturbedAttention):
        guidance: Any = kind(scale=2.0)
        assert guidance.changes_attention and guidance.in_one_batch() is guidance


@pytest.mark.parametrize("kind", [DetailSuppression, SelfAttentionGuidance, PerturbedAttention])
def test_the_prediction_still_belongs_to_the_latent(z: Tensor, kind: Any) -> None:
    """``z = alpha x0 + sigma eps``, which samplers count on."""
    for step in (STEP, vp_steps(10)[3]):
        out = Run().predict(kind(scale=3.0), z, step)
        torch.testing.assert_close(step.alpha * out.x0 + step.sigma * out.eps, z, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", [DetailSuppression, SelfAttentionGuidance, PerturbedAttention])
@pytest.mark.parametrize("call", [1, 2])
def test_a_failing_network_is_left_as_it_was(z: Tensor, kind: Any, call: int) -> None:
    run = Run()
    found, run.prior.fail_at_call = run.prior.processors(), call
    with pytest.raises(RuntimeError, match="the network failed"):
        run.predict(kind(scale=2.0), z)
    assert all(a is b for a, b in zip(run.prior.processors(), found, strict=True))


# ----------------------------------------------------------------------------------------- by name


def test_guidance_by_name() -> None:
    kinds = {"cfg": ClassifierFree, "dssag": DetailSuppression, "sag": SelfAttentionGuidance, "pag": PerturbedAttention}
    for name, kind in kinds.items():
        made: Any = choose_guidance(name, None, default_scale=6.0)  # type: ignore[arg-type]
        assert type(made) is kind and made.scale == 6.0
        assert changes_attention(made) == (name != "cfg")
    chosen: Any = choose_guidance("dssag", 2.0, default_scale=6.0, classifier_free=False)
    assert chosen.scale == 2.0 and not chosen.classifier_free
    assert choose_guidance("none", None, default_scale=6.0) is None and not changes_attention(None)


def test_choices_without_effect_are_refused() -> None:
    with pytest.raises(SettingsError, match="guidance_scale 3 has no effect"):
        choose_guidance("none", 3.0, default_scale=6.0)
    with pytest.raises(SettingsError, match="guidance cfg has no effect"):
        choose_guidance("cfg", None, default_scale=6.0, classifier_free=False)


def test_the_upscaler_family_offers_its_lowest_level() -> None:
    from limpid.networks.unet.temporal_unet import TemporalUNet

    unet = TemporalUNet(block_out_channels=(32, 32, 32, 64), num_heads=2, cross_attention_dim=16, num_noise_levels=9)
    names = [name for name, _ in self_attentions(unet)]
    inside = ".transformer_blocks.0.attn1"
    assert names == [
        *(f"down_blocks.3.attentions.{i}{inside}" for i in range(2)),
        f"mid_block.attentions.0{inside}",
        *(f"up_blocks.0.attentions.{i}{inside}" for i in range(3)),
    ]
