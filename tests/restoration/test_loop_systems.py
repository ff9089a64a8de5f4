"""The control flow of the four published systems: each as a fake in the one loop, against an obvious twin.

The twins below are written from the papers with plain loops over frames; they share nothing with the engine but the
noise, the schedule and the sampler's two coefficients.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from fakes import (
    CPU,
    AttentionPrior,
    FakeAttentionPropagation,
    FakeMotionGuidance,
    FakePropagation,
    FakeTransition,
    PixelPrior,
    PooledPrior,
    fuse_recurrently,
    method,
    repeat_pixels,
    sample,
    segment_of,
    video,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from limpid.diffusion.noise import noise_clip
from limpid.diffusion.samplers import DDIM, DDPM, posterior_variance
from limpid.diffusion.schedules import Betas, vp_steps
from limpid.method import Guidance, Method, Strategy
from limpid.types import Prediction, Segment, Step


def restore(m: Method, lr: Tensor, segment: Segment, num_steps: int, **options: Any) -> Tensor:
    prior = m.load(CPU)
    frames = lr[segment.halo.start : segment.halo.stop]
    return sample(m, prior, frames, segment, steps=m.make_schedule(num_steps), seed=0, **options)


def start(m: Method, frames: range | list[int], num_steps: int, height: int = 4, width: int = 6) -> Tensor:
    noise = noise_clip(0, "init", frames, 0, 3, height, width)
    step = m.make_schedule(num_steps)[0]
    return noise * (step.sigma if step.alpha == 1 else 1.0)


def latents(lr: Tensor) -> Tensor:
    return lr.transpose(0, 1)[None]


def frames_of(z: Tensor) -> Tensor:
    return repeat_pixels(z[0].transpose(0, 1)).clamp(0, 1)


def assert_same(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=2e-5)


# ------------------------------------------------------------------------------------ Upscale-A-Video


def uav(**changes: Any) -> Method:
    """Windows of 8 that overlap by 2 and are averaged; DDIM on SD x4's schedule."""
    betas = Betas(start=1e-4, end=0.02, shape="linear")
    return method(
        **{
            "prior": PooledPrior,
            "make_schedule": lambda n: vp_steps(n, betas, spacing="leading", offset=1),
            "window_frames": 8,
            "window_overlap_frames": 2,
            "window_weights": "box",
            **changes,
        }
    )


def uav_twin(lr: Tensor, at_steps: frozenset[int], num_steps: int) -> Tensor:
    m, prior, count = uav(), PooledPrior(), len(lr)
    z, low = start(m, range(count), num_steps), latents(lr)
    starts = sorted({*range(0, max(count - 8, 0), 6), max(count - 8, 0)})
    for step in m.make_schedule(num_steps):
        total, seen = torch.zeros_like(z), torch.zeros(count)
        for a in starts:
            total[:, :, a : a + 8] += prior.clean(z[:, :, a : a + 8], step, low[:, :, a : a + 8])
            seen[a : a + 8] += 1
        x0 = total / seen.reshape(-1, 1, 1)
        eps = (z - step.alpha * x0) / step.sigma
        if step.index in at_steps:
            x0 = fuse_recurrently(x0, 0.5)
        z = step.alpha_next * x0 + step.sigma_next * eps
    return frames_of(z)


@pytest.mark.parametrize("count", [5, 8, 9, 14, 20])
@pytest.mark.parametrize("at_steps", [frozenset(), frozenset({1, 2}), frozenset({0, 1, 2, 3})])
def test_uav_propagates_x0_over_all_frames_between_prediction_and_step(count: int, at_steps: frozenset[int]) -> None:
    lr = video(count)
    m = uav(strategy=FakePropagation(at_steps=at_steps))
    assert_same(restore(m, lr, whole(count), 4), uav_twin(lr, at_steps, 4))


def test_uav_propagation_reaches_the_core_from_its_halo() -> None:
    """An impulse two frames before the core arrives with a quarter of its size (and what comes back, less)."""
    lr = torch.zeros(10, 3, 4, 6)
    lr[2] = 1.0
    m = method(strategy=FakePropagation(at_steps=frozenset({2})))
    out = restore(m, lr, segment_of((4, 8), (2, 10), (0, 10)), 3)
    # backward pass: frame 2 keeps one half; forward pass: halves again with every frame
    assert_same(out[:, 0, 0, 0], torch.tensor([0.125, 0.0625, 0.03125, 0.015625]))


# ------------------------------------------------------------------------------------------- MGLD-VSR


def mgld_twin(m: Method, lr: Tensor, strength: float, num_steps: int) -> Tensor:
    """The gradient of half the squared differences is the Laplacian of a chain."""
    count = len(lr)
    chain = torch.diag(torch.tensor([1.0, *[2.0] * (count - 2), 1.0]))
    chain -= torch.diag(torch.ones(count - 1), 1) + torch.diag(torch.ones(count - 1), -1)
    low = latents(lr)
    steps = m.make_schedule(num_steps)
    z = steps[0].alpha * low + steps[0].sigma * start(m, range(count), num_steps)
    for step in steps:
        eps, variance = (z - step.alpha * low) / step.sigma, posterior_variance(step)
        z = step.alpha_next * low + (max(step.sigma_next**2 - variance, 0)) ** 0.5 * eps
        z = z + variance**0.5 * noise_clip(0, "ancestral", range(count), step.index, 3, 4, 6)
        z = z - strength * variance * torch.einsum("ij,bcjhw->bcihw", chain, z)
    return frames_of(z)


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("count", [2, 5])
def test_mgld_takes_a_gradient_step_on_the_latent_after_each_step(strength: float, count: int) -> None:
    lr = video(count)
    m = method(
        strategy=FakeMotionGuidance(strength=strength),
        sampler=DDPM(),
        start="noised_input",
        make_schedule=lambda n: vp_steps(n, spacing="linspace"),
    )
    assert_same(restore(m, lr, whole(count), 10), mgld_twin(m, lr, strength, 10))


# -------------------------------------------------------------------------------------------- DiffVSR


def diffvsr_twin(m: Method, strategy: FakeTransition, lr: Tensor, num_steps: int) -> Tensor:
    prior, count = PooledPrior(), len(lr)
    fused: list[Tensor | None] = [None] * count
    a = 0
    while a == 0 or a + strategy.overlap < count:
        frames = list(range(a, min(a + strategy.length, count)))
        sources = list(strategy.noise_frames(frames, whole(count), 0))
        z, low = start(m, sources, num_steps), latents(lr[frames])
        for step in m.make_schedule(num_steps):
            x0 = prior.clean(z, step, low)
            z = step.alpha_next * x0 + step.sigma_next * (z - step.alpha * x0) / step.sigma
        shared = sum(fused[f] is not None for f in frames)
        for j, f in enumerate(frames):
            new = z[:, :, j]
            alpha = 1 - j / (shared - 1) if shared > 1 else 1.0
            fused[f] = new if fused[f] is None else alpha * fused[f] + (1 - alpha) * new
        a += strategy.length - strategy.overlap
    return frames_of(torch.stack([f for f in fused if f is not None], dim=2))


@pytest.mark.parametrize("count", [3, 8, 9, 12, 14, 21])
def test_diffvsr_denoises_lanes_on_their_own_and_merges_once(count: int) -> None:
    lr, strategy = video(count), FakeTransition()
    m = method(PooledPrior, strategy=strategy, sampler=DDIM())
    assert_same(restore(m, lr, whole(count), 3), diffvsr_twin(m, strategy, lr, 3))


def test_diffvsr_reuses_the_noise_of_the_first_lane() -> None:
    strategy = FakeTransition()
    segment = segment_of((100, 140), (100, 140), (100, 140))
    frames = range(100, 140)
    sources = strategy.noise_frames(frames, segment, 7)
    assert sources[:8] == list(range(100, 108))
    assert set(sources) == set(range(100, 108))
    for block in range(0, 40, 4):
        both = sources[block : block + 8]
        assert len(set(both)) == len(both), "no two frames of a lane share their noise"
    later = segment_of((120, 130), (116, 134), (100, 140), index=1)
    assert strategy.noise_frames(range(116, 134), later, 7) == sources[16:34]


def test_at_most_two_lanes_are_alive() -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0

    @dataclass(frozen=True, kw_only=True)
    class Watching(FakeTransition):
        def begin(self, context: Any) -> None:
            nonlocal most
            alive.add(context.condition.lr)
            most = max(most, len(alive))

    restore(method(strategy=Watching()), video(40), whole(40), 1)
    assert most <= 2


# --------------------------------------------------------------------------------------------- DC-VSR


def dcvsr(plan: FakeAttentionPropagation, prior: AttentionPrior | None = None, **changes: Any) -> Method:
    """Tiles 2x2 and windows of 2 without overlap, so that every answer is a mean of means."""
    prior = prior or AttentionPrior()
    cut = {"window_frames": 2, "tile_px": 2, "window_weights": "gaussian", "tile_weights": "gaussian"}
    return method(**{"prior": lambda: prior, "attention": plan, **cut, **changes})


def means(lr: Tensor) -> Tensor:
    """``windows rows columns`` means of LR tiles."""
    return torch.nn.functional.avg_pool3d(lr.mean(1)[None, None], 2)[0, 0]


def painted(values: Tensor) -> Tensor:
    """The frames of a run whose last x0 is one value per tile."""
    frames = values.repeat_interleave(2, 0).repeat_interleave(4, 1).repeat_interleave(4, 2)
    return frames[:, None].expand(-1, 3, -1, -1)


def test_spatial_propagation_gives_every_tile_the_keys_of_all_tiles() -> None:
    plan, lr = FakeAttentionPropagation(), video(4, 4, 6)
    own = means(lr)
    expected = (own + own.sum((1, 2), keepdim=True)) / (1 + own[0].numel())
    assert_same(restore(dcvsr(plan), lr, whole(4), 1), painted(expected))
    order = [entry[1:4] for entry in plan.log[:14]]
    collect, apply = ([(name, 0, tile) for tile in range(6)] for name in ("collect", "apply"))
    assert order == [*collect, ("collect", 0, "barrier"), *apply, ("apply", 0, "barrier")]


@pytest.mark.parametrize(("num_steps", "descending"), [(2, False), (4, True)])
def test_temporal_propagation_hands_keys_from_window_to_window(num_steps: int, descending: bool) -> None:
    plan, lr = FakeAttentionPropagation(), video(6, 4, 6)
    own = means(lr)
    previous = own.roll(-1 if descending else 1, 0)
    expected = (own + previous) / 2
    first = 2 if descending else 0
    expected[first] = own[first]
    assert_same(restore(dcvsr(plan), lr, whole(6), num_steps), painted(expected))
    windows = [e[2] for e in plan.log if e[0] == num_steps - 1 and e[-1] == "barrier"]
    assert windows == ([2, 1, 0] if descending else [0, 1, 2])


def test_the_bank_lives_for_one_step_and_holds_one_window() -> None:
    plan = FakeAttentionPropagation()
    restore(dcvsr(plan), video(8, 4, 6), whole(8), 4)
    calls = [e for e in plan.log if e[-1] != "barrier"]
    for index in range(4):
        assert next(e for e in calls if e[0] == index)[-1] == 0, "every step starts with an empty bank"
    assert max(e[-1] for e in calls if e[1] in ("collect", "apply")) == 6
    assert max(e[-1] for e in calls if e[1] == "previous") == 11, "six of the window before, five fresh ones"


@pytest.mark.parametrize("fail_at_call", [None, 1, 9])
def test_attention_is_restored_after_a_run_and_after_a_failure(fail_at_call: int | None) -> None:
    prior = AttentionPrior()
    found = prior.layers["down.0"].inject
    prior.fail_at_call = fail_at_call
    m = dcvsr(FakeAttentionPropagation(), prior)
    if fail_at_call is None:
        restore(m, video(4, 4, 6), whole(4), 2)
    else:
        with pytest.raises(RuntimeError, match="the network failed"):
            restore(m, video(4, 4, 6), whole(4), 2)
    assert prior.layers["down.0"].inject is found


def test_a_collecting_phase_does_not_make_the_prediction() -> None:
    """Also where there is only one window and one tile."""
    lr = video(2, 2, 2)
    assert_same(restore(dcvsr(FakeAttentionPropagation()), lr, whole(2), 1), painted(means(lr)))


# ---------------------------------------------------------------------------- guidance, and combinations


@dataclass(frozen=True)
class FakeGuidance(Guidance):
    """Classifier-free guidance between LR and no LR."""

    scale: float

    def predict(self, prior: Any, denoise: Any, z: Tensor, step: Step, condition: Any) -> Prediction:
        plain = denoise(z, condition, "main")
        without = denoise(z, type(condition)(torch.zeros_like(condition.lr)), "unconditional")
        return Prediction(*(b + self.scale * (a - b) for a, b in zip(plain, without, strict=True)))


@given(scale=st.floats(0.0, 1.0))
@settings(max_examples=8, deadline=None)
def test_guidance_combines_branches(scale: float) -> None:
    lr = video(3)
    out = restore(method(guidance=FakeGuidance(scale)), lr, whole(3), 2)
    assert_same(out, repeat_pixels(lr * scale))


def test_guidance_branches_have_keys_of_their_own() -> None:
    plan, lr = FakeAttentionPropagation(), video(2, 4, 6)
    own = means(lr)
    expected = (own + own.sum((1, 2), keepdim=True)) / (1 + own[0].numel())
    assert_same(restore(dcvsr(plan, guidance=FakeGuidance(0.5)), lr, whole(2), 1), painted(expected * 0.5))
    assert {e[4] for e in plan.log if e[-1] != "barrier"} == {"main", "unconditional"}


@dataclass(frozen=True, kw_only=True)
class Everything(FakeTransition):
    """Lanes with one merge, propagation and motion guidance at once: parts combine without knowing each other."""

    at_steps: frozenset[int] = frozenset({1})

    def on_x0(self, x0: Tensor, step: Step, context: Any, state: Any) -> Tensor:
        return FakePropagation(at_steps=self.at_steps).on_x0(x0, step, context, state)

    def on_latent(self, z: Tensor, step: Step, context: Any, state: Any) -> Tensor:
        return FakeMotionGuidance(strength=0.1).on_latent(z, step, context, state)


def test_parts_combine() -> None:
    lr = torch.full((12, 3, 4, 6), 0.25)
    strategy: Strategy = Everything()
    m = method(PixelPrior, strategy=strategy, sampler=DDPM(), guidance=FakeGuidance(1.0), tile_px=3, tile_overlap_px=1)
    assert_same(restore(m, lr, whole(12), 3), repeat_pixels(lr))
