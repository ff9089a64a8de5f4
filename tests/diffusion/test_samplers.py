"""Samplers against diffusers' schedulers, on a random but consistent denoiser, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from limpid.diffusion.parametrisations import from_eps, from_v, from_x0
from limpid.diffusion.samplers import DDIM, DDPM, SAMPLERS, DPMSolverPP2M, Euler, posterior_variance
from limpid.diffusion.schedules import Betas, karras_steps, truncate, vp_steps, vp_steps_at
from limpid.method import Sampler
from limpid.types import Prediction, Step

diffusers = pytest.importorskip("diffusers")

SHAPE = (1, 2, 3, 4, 5)
BETAS = {
    "scaled_linear": Betas(),
    "linear": Betas(start=1e-4, end=0.02, shape="linear"),
}
TO_predictionICTION = {"epsilon": from_eps, "v_prediction": from_v}
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def network(z: Tensor, t: float) -> Tensor:
    """A random smooth function of latent and time: what a sampler does with it must not depend on what it is."""
    generator = torch.Generator().manual_seed(3)
    mix = torch.randn(SHAPE[1], SHAPE[1], generator=generator, dtype=torch.float64)
    return torch.tanh(torch.einsum("ij,bjthw->bithw", mix, z.double()) + math.sin(t))


def start_latent() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def no_noise() -> Tensor:
    raise AssertionError("a deterministic sampler must not draw noise")


def run(
    sampler: Sampler,
    steps: tuple[Step, ...],
    z: Tensor,
    predict: Callable[[Tensor, Step], Prediction],
    draw: Callable[[], Tensor] = no_noise,
) -> Tensor:
    state = None
    for step in steps:
        x0, eps = predict(z, step)
        z, state = sampler.step(z, x0, eps, step, state, draw)
    return z


def scheduler_config(shape: str, prediction: str, **extra: object) -> dict[str, object]:
    betas = BETAS[shape]
    return {
        "num_train_timesteps": betas.count,
        "beta_start": betas.start,
        "beta_end": betas.end,
        "beta_schedule": shape,
        "prediction_type": prediction,
        **extra,
    }


def exact(scheduler: object, shape: str) -> object:
    """The oracle keeps its levels in float32; this takes the rounding out so that only the rule is compared."""
    ours = torch.from_numpy(BETAS[shape].alphas_cumprod())
    torch.testing.assert_close(ours.float(), scheduler.alphas_cumprod, rtol=3e-6, atol=1e-7)
    final_is_one = getattr(scheduler, "final_alpha_cumprod", 1.0) == 1.0
    scheduler.alphas_cumprod = ours
    scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64) if final_is_one else ours[0]
    return scheduler


def run_oracle(scheduler: object, z: Tensor, **step_options: object) -> Tensor:
    for t in scheduler.timesteps:
        out = network(z, float(t))
        z = scheduler.step(out, t, z, **step_options).prev_sample
    return z


@pytest.mark.parametrize("shape", list(BETAS))
@pytest.mark.parametrize("prediction", list(TO_predictionICTION))
@pytest.mark.parametrize(
    ("spacing", "offset", "num_steps"),
    [
        ("leading", 1, 30),
        ("leading", 0, 50),
        ("leading", 1, 7),
        ("trailing", 0, 1),
        ("trailing", 0, 4),
        ("trailing", 0, 25),
    ],
)
@pytest.mark.parametrize("final", ["one", "first"])
def test_ddim_equals_diffusers(
    shape: str, prediction: str, spacing: str, offset: int, num_steps: int, final: str
) -> None:
    extra = {"timestep_spacing": spacing, "steps_offset": offset, "set_alpha_to_one": final == "one"}
    oracle = diffusers.DDIMScheduler(**scheduler_config(shape, prediction, clip_sample=False, **extra))
    oracle = exact(oracle, shape)
    oracle.set_timesteps(num_steps)
    steps = vp_steps(num_steps, BETAS[shape], spacing=spacing, offset=offset, final_alpha=final)
    assert [int(s.t) for s in steps] == oracle.timesteps.tolist()
    to = TO_predictionICTION[prediction]
    z = run(DDIM(), steps, start_latent(), lambda z, s: to(z, network(z, s.t), s))
    torch.testing.assert_close(z, run_oracle(oracle, start_latent()), **TOLERANCE)


@pytest.mark.parametrize("eta", [0.4, 1.0])
def test_ddim_with_noise_equals_diffusers(eta: float) -> None:
    oracle = exact(diffusers.DDIMScheduler(**scheduler_config("linear", "epsilon", clip_sample=False)), "linear")
    oracle.set_timesteps(10)
    ours, theirs = (torch.Generator().manual_seed(5) for _ in range(2))
    z = run(
        DDIM(eta=eta),
        vp_steps(10, BETAS["linear"], spacing="leading"),
        start_latent(),
        lambda z, s: from_eps(z, network(z, s.t), s),
        lambda: torch.randn(SHAPE, generator=ours, dtype=torch.float64),
    )
    # the oracle draws once more, at the last step, and multiplies it by zero
    torch.testing.assert_close(z, run_oracle(oracle, start_latent(), eta=eta, generator=theirs), **TOLERANCE)


@pytest.mark.parametrize("shape", list(BETAS))
@pytest.mark.parametrize("prediction", list(TO_predictionICTION))
@pytest.mark.parametrize(
    ("spacing", "num_steps"), [("linspace", 50), ("linspace", 10), ("trailing", 4), ("leading", 5)]
)
def test_ddpm_equals_diffusers(shape: str, prediction: str, spacing: str, num_steps: int) -> None:
    config = scheduler_config(shape, prediction, clip_sample=False, timestep_spacing=spacing)
    oracle = exact(diffusers.DDPMScheduler(**config), shape)
    oracle.set_timesteps(num_steps)
    steps = vp_steps(num_steps, BETAS[shape], spacing=spacing)
    assert [int(s.t) for s in steps] == oracle.timesteps.tolist()
    to = TO_predictionICTION[prediction]
    ours, theirs = (torch.Generator().manual_seed(5) for _ in range(2))
    z = run(
        DDPM(),
        steps,
        start_latent(),
        lambda z, s: to(z, network(z, s.t), s),
        lambda: torch.randn(SHAPE, generator=ours, dtype=torch.float64),
    )
    expected = run_oracle(oracle, start_latent(), generator=theirs)
    torch.testing.assert_close(z, expected, **TOLERANCE)


@pytest.mark.parametrize("num_steps", [1, 2, 7, 25])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
def test_euler_equals_diffusers_edm(num_steps: int, final: str) -> None:
    oracle = diffusers.EDMEulerScheduler(sigma_min=0.01, sigma_max=20.0, sigma_data=0.5, final_sigmas_type=final)
    oracle.set_timesteps(num_steps)
    last = 0.0 if final == "zero" else float(oracle.sigmas[-1])
    steps = karras_steps(num_steps, 0.01, 20.0, final_sigma=last)
    torch.testing.assert_close(torch.tensor([s.t for s in steps]), oracle.timesteps, **TOLERANCE)
    ours = theirs = start_latent() * 20.0
    for t in oracle.timesteps:
        scaled = oracle.scale_model_input(theirs, t)
        theirs = oracle.step(network(scaled, float(t)), t, theirs).prev_sample

    def predict(z: Tensor, step: Step) -> Prediction:
        total = step.sigma**2 + 0.25
        out = network(z / math.sqrt(total), step.t)
        return from_x0(z, 0.25 / total * z + 0.5 * step.sigma / math.sqrt(total) * out, step)

    ours = run(Euler(), steps, ours, predict)
    torch.testing.assert_close(ours.float(), theirs.float(), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("num_steps", [1, 4, 25])
def test_euler_equals_diffusers_as_svd_is_configured(num_steps: int) -> None:
    oracle = diffusers.EulerDiscreteScheduler(
        **scheduler_config("scaled_linear", "v_prediction"),
        use_karras_sigmas=True,
        sigma_min=0.002,
        sigma_max=700.0,
        timestep_type="continuous",
        timestep_spacing="leading",
        steps_offset=1,
        interpolation_type="linear",
    )
    oracle.set_timesteps(num_steps)
    steps = karras_steps(num_steps, 0.002, 700.0)
    torch.testing.assert_close(torch.tensor([s.t for s in steps]), oracle.timesteps, **TOLERANCE)
    z = start_latent() * 700.0
    theirs = z
    for t in oracle.timesteps:
        theirs = oracle.step(network(oracle.scale_model_input(theirs, t), float(t)), t, theirs).prev_sample
    ours = run(Euler(), steps, z, lambda z, s: from_v(z, network(z / math.hypot(1, s.sigma), s.t), s))
    torch.testing.assert_close(ours.float(), theirs.float(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("prediction", list(TO_predictionICTION))
@pytest.mark.parametrize("num_steps", [4, 20])
def test_euler_on_a_vp_network_equals_diffusers(prediction: str, num_steps: int) -> None:
    """In the oracle the latent is ``z / alpha``; both end in the same clean latent."""
    config = scheduler_config("scaled_linear", prediction, timestep_spacing="leading", steps_offset=1)
    oracle = exact(diffusers.EulerDiscreteScheduler(**config), "scaled_linear")
    oracle.set_timesteps(num_steps)
    steps = vp_steps(num_steps, BETAS["scaled_linear"], spacing="leading", offset=1)
    z = start_latent()
    theirs = z / steps[0].alpha
    for t in oracle.timesteps:
        theirs = oracle.step(network(oracle.scale_model_input(theirs, t), float(t)), t, theirs).prev_sample
    to = TO_predictionICTION[prediction]
    ours = run(Euler(), steps, z, lambda z, s: to(z, network(z, s.t), s))
    torch.testing.assert_close(ours.float(), theirs.float(), rtol=1e-5, atol=5e-5)


@pytest.mark.parametrize("shape", list(BETAS))
@pytest.mark.parametrize("prediction", list(TO_predictionICTION))
@pytest.mark.parametrize("num_steps", [1, 2, 5, 14, 20])
def test_dpm_solver_equals_diffusers(shape: str, prediction: str, num_steps: int) -> None:
    config = scheduler_config(shape, prediction, solver_order=2, timestep_spacing="trailing", final_sigmas_type="zero")
    oracle = exact(diffusers.DPMSolverMultistepScheduler(**config), shape)
    oracle.set_timesteps(num_steps)
    steps = vp_steps_at(oracle.timesteps.tolist(), BETAS[shape])
    to = TO_predictionICTION[prediction]
    ours = run(DPMSolverPP2M(), steps, start_latent(), lambda z, s: to(z, network(z, s.t), s))
    # the oracle rounds latents to float32, and x0 from eps multiplies that by 1 / alpha at the first level
    atol = 1e-6 / steps[0].alpha if prediction == "epsilon" else 1e-5
    torch.testing.assert_close(ours, run_oracle(oracle, start_latent()), rtol=1e-5, atol=atol)


@pytest.mark.parametrize("num_steps", [6, 20])
def test_dpm_solver_ending_at_sigma_min_equals_diffusers(num_steps: int) -> None:
    """The last step is first order below 15 steps and second order from there on."""
    config = scheduler_config("linear", "epsilon", final_sigmas_type="sigma_min", timestep_spacing="trailing")
    oracle = exact(diffusers.DPMSolverMultistepScheduler(**config), "linear")
    oracle.set_timesteps(num_steps)
    steps = vp_steps_at(oracle.timesteps.tolist(), BETAS["linear"], final_alpha="first")
    ours = run(DPMSolverPP2M(), steps, start_latent(), lambda z, s: from_eps(z, network(z, s.t), s))
    # the oracle rounds latents to float32, and x0 from eps multiplies that by 1 / alpha at the first level
    atol = 1e-6 / steps[0].alpha
    torch.testing.assert_close(ours, run_oracle(oracle, start_latent()), rtol=1e-5, atol=atol)


ALL_SAMPLERS = [DDIM(), DDIM(eta=0.7), DDPM(), Euler(), DPMSolverPP2M()]
schedules = st.one_of(
    st.builds(lambda n: vp_steps(n, BETAS["linear"], spacing="trailing"), st.integers(1, 40)),
    st.builds(
        lambda n, low, more: karras_steps(n, low, low + more),
        st.integers(1, 20),
        st.floats(1e-3, 1),
        st.floats(0.01, 90),
    ),
)


@given(steps=schedules, sampler=st.sampled_from(ALL_SAMPLERS))
@settings(max_examples=60, deadline=None)
def test_a_perfect_denoiser_ends_in_the_truth(steps: tuple[Step, ...], sampler: Sampler) -> None:
    truth = torch.linspace(-1, 1, 120, dtype=torch.float64).reshape(SHAPE)
    generator = torch.Generator().manual_seed(0)
    z = steps[0].alpha * truth + steps[0].sigma * start_latent()
    draw = lambda: torch.randn(SHAPE, generator=generator, dtype=torch.float64)  # noqa: E731
    z = run(sampler, steps, z, lambda z, s: from_x0(z, truth, s), draw)
    torch.testing.assert_close(z, truth, rtol=0, atol=1e-9)


@given(steps=schedules, sampler=st.sampled_from([DDIM(), Euler(), DPMSolverPP2M()]))
@settings(max_examples=40, deadline=None)
def test_deterministic_samplers_keep_the_noise_of_a_perfect_denoiser(steps: tuple[Step, ...], sampler: Sampler) -> None:
    truth, eps = torch.ones(SHAPE, dtype=torch.float64), start_latent()
    z = steps[0].alpha * truth + steps[0].sigma * eps
    for step in steps[:-1]:
        z, _ = sampler.step(z, truth, eps, step, None, no_noise)
        torch.testing.assert_close(z, step.alpha_next * truth + step.sigma_next * eps, rtol=1e-9, atol=1e-9)


def test_dpm_solver_remembers_the_x0_it_was_given() -> None:
    step = vp_steps(4, spacing="trailing")[0]
    changed = torch.ones(SHAPE)
    _, state = DPMSolverPP2M().step(torch.zeros(SHAPE), changed, torch.zeros(SHAPE), step, None, no_noise)
    assert state.x0 is changed


def test_posterior_variance_is_that_of_ddpm() -> None:
    betas = Betas(count=10, start=0.01, end=0.2, shape="linear")
    for step in vp_steps(10, betas, spacing="leading")[:-1]:
        beta = 1 - step.alpha**2 / step.alpha_next**2
        assert posterior_variance(step) == pytest.approx(step.sigma_next**2 / step.sigma**2 * beta)


@given(strength=st.floats(0.01, 1.0), steps=schedules)
@settings(deadline=None)
def test_truncate_keeps_the_end_of_the_schedule(strength: float, steps: tuple[Step, ...]) -> None:
    kept = truncate(steps, strength)
    assert 1 <= len(kept) <= len(steps)
    assert [s.index for s in kept] == list(range(len(kept)))
    assert all(s.count == len(kept) for s in kept)
    tail = steps[-len(kept) :]
    assert [(s.alpha_next, s.sigma_next) for s in kept] == [(s.alpha_next, s.sigma_next) for s in tail]
    assert tail[0].sigma_next <= kept[0].sigma <= tail[0].sigma
    assert kept[1:] == tuple(map(_renumber(len(kept)), tail[1:]))


def _renumber(count: int) -> Callable[[Step], Step]:
    return lambda s: replace(s, index=s.index - (s.count - count), count=count)


def exact_gaussian_error(name: str, count: int, mean: float = 0.7, spread: float = 0.5) -> tuple[float, float]:
    """Error of mean and standard deviation of what a sampler makes of a known Gaussian, with its exact denoiser."""
    generator = torch.Generator().manual_seed(3)
    steps = vp_steps(count, Betas(), spacing="linspace")
    z, memory = torch.randn(1, 1, 1, 1, 50_000, dtype=torch.float64, generator=generator), None

    def draw() -> Tensor:
        return torch.randn(z.shape, dtype=torch.float64, generator=generator)

    for step in steps:
        gain = step.alpha * spread**2 / (step.alpha**2 * spread**2 + step.sigma**2)
        x0 = mean + gain * (z - step.alpha * mean)
        eps = (z - step.alpha * x0) / step.sigma
        z, memory = SAMPLERS[name].step(z, x0, eps, step, memory, draw)
    return abs(float(z.mean()) - mean), abs(float(z.std()) - spread) / spread


def test_samplers_to_choose_from_meet_a_known_gaussian() -> None:
    """As docs/motion-guidance.md has it: the deterministic ones are as near in half as many steps."""
    ancestral = exact_gaussian_error("ddpm", 50)
    assert ancestral[0] < 0.01
    assert ancestral[1] < 0.11
    for name in ("ddim", "dpm++"):
        half = exact_gaussian_error(name, 25)
        assert half[0] < 0.03
        assert half[1] < 1.1 * ancestral[1]
        assert exact_gaussian_error(name, 50)[1] < half[1]
