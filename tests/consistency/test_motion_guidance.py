"""Motion-guided sampling: the released code's numbers, known errors and gradients, and what it does to a sampler."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from limpid.consistency.lane_flow import LaneFlows
from limpid.consistency.motion_guidance import (
    MOTION_LIMIT,
    Motion,
    MotionGuidance,
    WarpingError,
    on_canvas,
    step_variance,
)
from limpid.diffusion.samplers import SAMPLERS, posterior_variance
from limpid.diffusion.schedules import Betas, karras_steps, vp_steps
from limpid.method import LaneContext
from limpid.types import SettingsError, Step

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden" / "mgld_guidance.cases.safetensors"
MGLD_STEPS = vp_steps(50, Betas(), spacing="linspace")
NO_CONTEXT: LaneContext = None  # type: ignore[assignment]  # hooks after `begin` do not look at it


def flows(frames: int, height: int, width: int, x: float = 0.0, y: float = 0.0) -> Tensor:
    return torch.tensor([x, y]).reshape(1, 2, 1, 1).expand(frames - 1, 2, height, width).clone()


def motion(frames: int, height: int, width: int, x: float = 0.0, y: float = 0.0) -> Motion:
    there = flows(frames, height, width, x, y)
    return Motion.checked(there, -there)


def random_frames(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------------- released code


@pytest.mark.parametrize("case", range(3))
def test_masks_error_and_gradient_of_the_released_code(case: int) -> None:
    if not GOLDEN.exists():
        pytest.skip("the golden tensors are not here")
    given = {k.removeprefix(f"case{case}/"): v for k, v in load_file(GOLDEN).items() if k.startswith(f"case{case}/")}
    found = Motion.checked(given["in/flow_to_next"], given["in/flow_to_prev"], occlusion_compat=True)
    assert torch.equal(~found.seen_next[:, 0], given["out/occ_to_next"].bool())
    assert torch.equal(~found.seen_previous[:, 0], given["out/occ_to_prev"].bool())
    error = WarpingError(motion=found, reduction="mean", pairing_compat=True)
    value, gradient = error.with_gradient(given["in/loss_latents"])
    assert abs(float(value - given["out/loss"])) < 1e-5
    assert abs(float(error(given["in/loss_latents"]) - given["out/loss"])) < 1e-5
    assert (gradient - given["out/loss_gradient"]).abs().max() < 1e-6


def test_released_pairing_finds_an_error_where_nothing_moves() -> None:
    still = random_frames(1, 4, 8, 8).expand(5, -1, -1, -1)
    assert WarpingError(motion=motion(5, 8, 8))(still) == 0
    assert WarpingError(motion=motion(5, 8, 8), pairing_compat=True)(still) > 0


# ------------------------------------------------------------------------------------------- the error


@given(st.integers(-2, 2), st.integers(-2, 2), st.sampled_from(["point", "sum", "mean"]))
@settings(deadline=None, max_examples=15)
def test_error_against_shifted_pictures(x: int, y: int, reduction: Any) -> None:
    frames, (h, w) = random_frames(3, 2, 6, 7), (6, 7)
    wanted = 0.0
    for a, b in ((0, 1), (1, 2)):
        for source, target, dx, dy in ((a, b, -x, -y), (b, a, x, y)):
            for row in range(h):
                for column in range(w):
                    if 0 <= row + dy < h and 0 <= column + dx < w:
                        apart = frames[source, :, row + dy, column + dx] - frames[target, :, row, column]
                        wanted += float(apart.abs().sum())
    wanted /= {"sum": 1, "mean": frames[0].numel(), "point": 2 * 8}[reduction]  # 2 channels, 8 terms
    found = WarpingError(motion=motion(3, h, w, x, y), reduction=reduction)(frames)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_moving_with_the_flow_is_no_error() -> None:
    picture = random_frames(1, 3, 12, 20)
    frames = torch.cat([picture[..., 2 * i : 2 * i + 10] for i in range(4)])
    assert float(WarpingError(motion=motion(4, 12, 10, x=-2.0))(frames)) == pytest.approx(0, abs=1e-3)
    assert WarpingError(motion=motion(4, 12, 10, x=2.0))(frames) > 0


@pytest.mark.parametrize("reduction", ["point", "sum", "mean"])
def test_gradient_is_that_of_autograd_and_of_differences(reduction: Any) -> None:
    there = flows(4, 9, 11) + random_frames(3, 2, 9, 11, seed=1)
    back = -there + 0.1 * random_frames(3, 2, 9, 11, seed=2)
    error = WarpingError(motion=Motion.checked(there, back), reduction=reduction)
    frames = random_frames(4, 2, 9, 11).requires_grad_()
    with torch.no_grad():
        value, gradient = error.with_gradient(frames)
    whole = error(frames)
    assert torch.allclose(value, whole)
    torch.testing.assert_close(gradient, torch.autograd.grad(whole, frames)[0], rtol=1e-5, atol=1e-6)
    step = 1e-2
    for place in ((0, 0, 4, 5), (1, 1, 2, 3), (2, 0, 8, 10), (3, 1, 0, 0)):
        change = torch.zeros_like(gradient)
        change[place] = step
        with torch.no_grad():
            difference = (error(frames + change) - error(frames - change)) / (2 * step)
        scale = {"sum": 1, "mean": frames[0].numel(), "point": 2 * 8}[reduction]
        assert float(scale * difference) == pytest.approx(float(scale * gradient[place]), abs=0.05)


@pytest.mark.parametrize(("frames", "size"), [(2, 6), (5, 12), (9, 20)])
def test_the_gradient_of_an_element_depends_on_neither_length_nor_size(frames: int, size: int) -> None:
    """In five frames of four channels, as the paper's, the error is the sum over places of the mean at a place."""
    z = random_frames(frames, 4, size, size)
    value, gradient = WarpingError(motion=motion(frames, size, size)).with_gradient(z)
    assert float(gradient.abs().max()) == pytest.approx((2 if frames == 2 else 4) / 32)
    pairs = [(z[i] - z[i + 1]).abs().mean(dim=0).sum() for i in range(frames - 1)]
    assert float(value) == pytest.approx(float(2 * sum(pairs) / 8), rel=1e-5)


def test_occluded_pixels_are_ignored() -> None:
    there, back = flows(2, 8, 8), flows(2, 8, 8)
    there[..., 2:5, 3:6] = 3.0  # does not come back
    found = Motion.checked(there, back)
    assert not found.seen_next[..., 2:5, 3:6].any()
    frames = random_frames(2, 4, 8, 8)
    error = WarpingError(motion=replace(found, seen_previous=found.seen_next))
    value, gradient = error.with_gradient(frames)
    assert (gradient[:, :, 2:5, 3:6] == 0).all()
    frames[0, :, 2:5, 3:6] = 100.0
    assert error(frames) == value


def test_what_comes_from_outside_does_not_count() -> None:
    seen = motion(2, 6, 6, x=1.5).seen_next[0, 0]
    assert not seen[:, 4:].any()
    assert seen[:, :4].all()


def test_a_plane_finer_than_the_latent_follows_motion_inside_it() -> None:
    picture = random_frames(1, 1, 16, 24)
    frames = torch.cat([picture[..., i : i + 16] for i in range(3)])
    latents = F.pixel_unshuffle(frames, 8)
    error = WarpingError(motion=motion(3, 16, 16, x=-1.0), plane=lambda z: F.pixel_shuffle(z, 8))
    value, gradient = error.with_gradient(latents)
    assert value == 0
    assert gradient.shape == latents.shape
    assert error(latents.flip(0)) > 0


# ------------------------------------------------------------------------------------------- the strategy


def pattern(frames: int, height: int, width: int, speed: float) -> Tensor:
    """Waves that move right, ``1 4 t h w``."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = [
        torch.sin((x - speed * i)[None] * torch.tensor([0.3, 0.4, 0.5, 0.6])[:, None, None] + y / 4)
        for i in range(frames)
    ]
    return torch.stack(waves, dim=1)[None]


def sample(
    strategy: MotionGuidance, sampler: str, steps: tuple[Step, ...], *, shared: bool = False
) -> tuple[list[float], float, float]:
    """A run with the exact denoiser of ``pattern`` with white texture, of standard deviation 0.5: how each guided step
    changed the error, the error in the end, and the standard deviation of the texture.

    ``shared``: all frames have the same noise, so that they differ by little from the beginning.
    """
    truth, speed, generator = pattern(5, 16, 20, 1.5), 1.5, torch.Generator().manual_seed(1)
    state = LaneFlows(flows(5, 16, 20, speed), flows(5, 16, 20, -speed))
    error = WarpingError(motion=Motion.checked(state.forward, state.backward))

    def draw() -> Tensor:
        shape = (*truth.shape[:2], 1 if shared else truth.shape[2], *truth.shape[3:])
        return torch.randn(shape, generator=generator).expand(truth.shape)

    z, memory, ratios = draw() * math.hypot(steps[0].alpha if steps[0].alpha < 1 else 0, steps[0].sigma), None, []
    for step in steps:
        gain = step.alpha * 0.25 / (step.alpha**2 * 0.25 + step.sigma**2)
        x0 = truth + gain * (z - step.alpha * truth)
        eps = (z - step.alpha * x0) / step.sigma
        z, memory = SAMPLERS[sampler].step(z, x0, eps, step, memory, draw)
        before = error(z[0].transpose(0, 1))
        z = strategy.on_latent(z, step, NO_CONTEXT, state)
        ratios.append(float(error(z[0].transpose(0, 1)) / before))
    return ratios, float(error(z[0].transpose(0, 1))), float((z - truth).std())


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_with_a_limit_no_step_raises_the_error_and_it_ends_clearly_lower(sampler: str, shared: bool) -> None:
    _, plain, _ = sample(MotionGuidance(scale=0), sampler, MGLD_STEPS, shared=shared)
    ratios, guided, _ = sample(MotionGuidance(limit=MOTION_LIMIT), sampler, MGLD_STEPS, shared=shared)
    assert max(ratios) <= 1
    assert guided < 0.8 * plain


@pytest.mark.parametrize(("sampler", "limit"), [("ddpm", None), ("ddim", MOTION_LIMIT), ("dpm++", MOTION_LIMIT)])
def test_more_guidance_means_less_error_and_less_detail(sampler: str, limit: float | None) -> None:
    """Fig. 7 of MGLD: from eta = 0 to 30 and beyond, with the paper's sampler by MGLD Eq. 3 alone."""
    etas = (0.0, 1.0, 3.0, 10.0, 30.0, 60.0)
    found = [sample(MotionGuidance(scale=eta, limit=limit), sampler, MGLD_STEPS) for eta in etas]
    errors, textures = [error for _, error, _ in found], [texture for *_, texture in found]
    assert all(more < less for less, more in pairwise(errors))
    assert all(more < less for less, more in pairwise(textures[:4]))
    assert errors[3] < 0.9 * errors[0] and textures[-1] < 0.9 * textures[0]


@pytest.mark.parametrize(("reduction", "least", "most"), [("point", 0.1, 1), ("sum", 3, 30), ("mean", 0, 0.03)])
def test_what_the_papers_eta_moves_in_units_of_a_steps_noise(reduction: Any, least: float, most: float) -> None:
    """All elements alike it is far more than the noise, and their mean next to nothing, even of 16x20 places."""
    plain, z = sample(MotionGuidance(scale=0), "ddpm", MGLD_STEPS)[1], random_frames(1, 4, 5, 16, 20)
    strategy, state = MotionGuidance(reduction=reduction), LaneFlows(flows(5, 16, 20, 1.5), flows(5, 16, 20, -1.5))
    for step in MGLD_STEPS[:45:11]:
        change = float((strategy.on_latent(z, step, NO_CONTEXT, state) - z).abs().max())
        assert least < change / math.sqrt(posterior_variance(step)) < most
    if reduction == "mean":
        assert sample(strategy, "ddpm", MGLD_STEPS)[1] > 0.97 * plain


def test_edm_levels_too() -> None:
    steps = karras_steps(20, 0.02, 80.0)
    _, plain, _ = sample(MotionGuidance(scale=0), "ddim", steps)
    ratios, guided, _ = sample(MotionGuidance(limit=MOTION_LIMIT), "ddim", steps)
    assert max(ratios) <= 1
    assert guided < 0.9 * plain


def in_edm_form(step: Step) -> Step:
    return replace(
        step, alpha=1.0, sigma=step.sigma / step.alpha, alpha_next=1.0, sigma_next=step.sigma_next / step.alpha_next
    )


@pytest.mark.parametrize("limit", [0.1, None])
def test_both_forms_of_noise_levels_are_guided_alike(limit: float | None) -> None:
    strategy, z = MotionGuidance(limit=limit), random_frames(1, 4, 3, 8, 8)
    for step in MGLD_STEPS[::10]:
        state, other = (LaneFlows(flows(3, 8, 8, 0.5), flows(3, 8, 8, -0.5)) for _ in range(2))
        edm, radius = in_edm_form(step), 1 / step.alpha_next
        assert step_variance(edm) == pytest.approx(step_variance(step))
        found = strategy.on_latent(z * radius, edm, NO_CONTEXT, other) / radius
        torch.testing.assert_close(found, strategy.on_latent(z, step, NO_CONTEXT, state), rtol=1e-4, atol=1e-5)


def test_an_element_moves_by_no_more_than_it_may() -> None:
    z, step = random_frames(1, 4, 4, 8, 8), MGLD_STEPS[25]
    sigma = math.sqrt(posterior_variance(step))
    for most in (0.1, 0.01):
        state = LaneFlows(flows(4, 8, 8), flows(4, 8, 8))
        change = (MotionGuidance(limit=most).on_latent(z, step, NO_CONTEXT, state) - z).abs().max()
        assert change == pytest.approx(most * sigma, rel=1e-4)


def test_mgld_equation_3_to_the_letter() -> None:
    z, step = random_frames(1, 4, 4, 8, 8), MGLD_STEPS[40]
    strategy = MotionGuidance(reduction="mean")
    found = strategy.on_latent(z, step, NO_CONTEXT, LaneFlows(flows(4, 8, 8, 1.0), flows(4, 8, 8, -1.0)))
    gradient = WarpingError(motion=motion(4, 8, 8, 1.0), reduction="mean").with_gradient(z[0].transpose(0, 1))[1]
    wanted = z - 10 * posterior_variance(step) * gradient.transpose(0, 1)[None]
    torch.testing.assert_close(found, wanted)
    released = replace(strategy, log_variance_compat=True)
    state = LaneFlows(flows(4, 8, 8, 1.0), flows(4, 8, 8, -1.0))
    found = released.on_latent(z, MGLD_STEPS[-1], NO_CONTEXT, state)
    torch.testing.assert_close(found, z + 10 * math.log(1e-20) * gradient.transpose(0, 1)[None])


def test_where_it_has_no_effect_it_is_refused() -> None:
    with pytest.raises(SettingsError, match="no effect in 1 step:"):
        MotionGuidance().check(vp_steps(1))
    MotionGuidance().check(vp_steps(2))
    MotionGuidance().check(vp_steps(1, final_alpha="first", offset=1))
    MotionGuidance(scale=0).check(vp_steps(1))
    with pytest.raises(SettingsError, match="must be 0 or more"):
        MotionGuidance(scale=-1.0)
    with pytest.raises(SettingsError, match="must be above 0"):
        MotionGuidance(limit=0.0)


def test_flow_on_a_canvas_that_reaches_over_the_picture() -> None:
    flow = random_frames(2, 2, 9, 7)
    half = on_canvas(flow, 5, 4, 0.5)
    assert half.shape == (2, 2, 5, 4)
    torch.testing.assert_close(half[..., :4, :3], F.avg_pool2d(flow, 2) / 2)
    torch.testing.assert_close(half[..., 4, :3], F.avg_pool1d(flow[..., 8, :], 2) / 2)
    fine = on_canvas(flow, 40, 32, 4.0)
    assert fine.shape == (2, 2, 40, 32)
    assert fine.abs().max() <= 4 * flow.abs().max()
