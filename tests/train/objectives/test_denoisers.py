"""Teaching the denoisers of MGLD-VSR and DC-VSR: what learns, from what they start, what is saved and runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from limpid.checkpoints.folders import read_card
from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.methods import find_method
from limpid.priors.dc_vsr import SVDConditioning
from limpid.priors.load.upscaler import from_folder
from limpid.settings import Settings
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.diffusion import edm_loss, expanded
from limpid.train.objectives import mgld_vsr as mgld
from limpid.train.objectives.dc_vsr import DCVSRDenoising
from limpid.train.objectives.denoising import DenoisingLearner, Levels, clean_latent, prediction_error
from limpid.train.objectives.distillation import FewSteps
from limpid.train.objectives.folders import finish_folder
from limpid.train.objectives.mgld_vsr import MGLDVSRDenoising, mgld_vsr_layer_kind
from limpid.train.plan import plan_stage
from limpid.train.recipes import find_recipe
from limpid.train.stage import Objective, Stage, Start
from limpid.train.starts.mgld_vsr_unet import is_new
from limpid.train.starts.random import random_converted
from limpid.types import SettingsError, WeightsError

CPU = torch.device("cpu")
METHODS = {"mgld-vsr": 8, "dc-vsr": 16}
"""LR pixels along the edge of a clip: at least one latent on every level."""
TINY_STRUCTURE = {"structure_channels": 32, "structure_block_channels": (32, 32, 32, 32), "structure_heads": 1}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = random_converted(name, tmp_path_factory.mktemp(name))
        return made[name]

    return get


def small_stages(method: str) -> tuple[Stage, ...]:
    recipe = find_recipe(f"{method}/unet")
    assert recipe.small is not None
    return recipe.small().stages


def make_learner(folder: Path, stage: Stage, objective: Objective | None = None, **start: Any) -> DenoisingLearner:
    begun = Start(device=CPU, seed=0, weights=folder, **start)
    learner = (objective or stage.objective).learner(begun, stage)
    assert isinstance(learner, DenoisingLearner) and "random numbers" in begun.notes[0]
    return learner


def make_batch(method: str, count: int = 2, frames: int = 2) -> ClipBatch:
    edge = METHODS[method]
    hr = torch.rand(count, frames, 3, 4 * edge, 4 * edge, generator=torch.Generator().manual_seed(1))
    lr = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 4).reshape(count, frames, 3, edge, edge)
    return ClipBatch(numbers=tuple(range(count)), hr=hr, lr=lr, captions=("a cat",) * count, keys=("",) * count)


def loss_of(learner: DenoisingLearner, batch: ClipBatch, seed: int = 0) -> Tensor:
    return learner.losses("model", batch, ClipRandom(seed, batch.numbers))["denoising"]


# ------------------------------------------------------------------------------------------ what learns


def test_the_full_networks_have_the_published_numbers_of_parameters() -> None:
    start = Start(device=CPU, seed=0)
    plan = plan_stage(find_recipe("mgld-vsr/unet").stages[0], start)
    assert {kind: round(n / 1e6, 1) for kind, n in plan.learning.items()} == {
        "spade": 53.0,
        "temporal": 16.4,
        "structure": 52.5,
    }
    assert round(plan.frozen["spatial"] / 1e6, 1) == 865.9
    both, spatial = (plan_stage(stage, start) for stage in find_recipe("dc-vsr/unet").stages)
    assert round(sum(both.learning.values()) / 1e6, 1) == 1524.6 and not both.frozen
    assert spatial.frozen == {"temporal": both.learning["temporal"]}


def test_every_layer_over_time_is_temporal() -> None:
    """Also the norm of the attention, which is called ``middle_block.3.norm`` elsewhere."""
    unet = mgld.make_official("mgld_vsr_unet", mgld.MGLD_VSR_UNET_CONFIG)
    names = [name for name, _ in unet.named_parameters()]
    temporal = {name for name in names if mgld_vsr_layer_kind(name) == "temporal"}
    assert {"mid_block.temporal_attention.norm.weight", "mid_block.temporal_attention.alpha"} <= temporal
    assert {name for name in names if mgld_vsr_layer_kind(name) != "spatial"} == {
        name for name in names if is_new(name)
    }


@pytest.mark.parametrize("method", METHODS)
def test_gradients_reach_exactly_what_learns_and_the_loss_falls(weights: Callable[[str], Path], method: str) -> None:
    stage = small_stages(method)[-1]
    conditioning = {"objective": DCVSRDenoising(drop_condition=0.0)} if method == "dc-vsr" else {}
    learner, batch = make_learner(weights(method), stage, **conditioning), make_batch(method)
    kinds, parameters = learner.kinds(), dict(learner.players["model"].named_parameters())
    learned = {name for kind in stage.trainable for name in kinds[kind]}
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in learned)
    optimizer = torch.optim.Adam([parameters[name] for name in sorted(learned)], lr=2e-3)
    seen = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = loss_of(learner, batch)
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    assert seen[-1] < 0.97 * seen[0]
    reached = {name for name, p in parameters.items() if p.grad is not None and bool(p.grad.any())}
    # One token to attend to leaves nothing to choose, and an embedding of zeros nothing to weigh.
    silent = {name for name in learned if ".attn2." in name or ".norm2." in name} if method == "dc-vsr" else set()
    assert reached <= learned and learned - silent <= reached
    system: Any = learner.system
    vae = system.vae if method == "mgld-vsr" else system.frozen["vae"]
    assert not any(p.requires_grad for p in vae.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_a_clip_counts_the_same_whatever_it_is_batched_with(weights: Callable[[str], Path], method: str) -> None:
    learner, both = make_learner(weights(method), small_stages(method)[0]), make_batch(method)
    singles = [
        replace(both, numbers=(i,), hr=both.hr[i : i + 1], lr=both.lr[i : i + 1], captions=("",), keys=("",))
        for i in range(2)
    ]
    with torch.no_grad():
        alone = torch.stack([loss_of(learner, one, 1) for one in singles])
        # Norms over the few numbers of the smallest maps enlarge what rounding differs between one clip and two.
        assert torch.isclose(loss_of(learner, both, 1), alone.mean(), rtol=1e-3)
    shown = learner.preview(both, ClipRandom(0, both.numbers))
    assert shown.shape == both.hr.shape and shown.min() >= 0 and shown.max() <= 1
    assert learner.players["model"].training


# ------------------------------------------------------------------------------------------ start and end


@pytest.mark.parametrize("method", METHODS)
def test_what_is_saved_runs_and_the_next_stage_goes_on_from_it(
    weights: Callable[[str], Path], method: str, tmp_path: Path
) -> None:
    stage = small_stages(method)[-1]
    learner = make_learner(weights(method), stage)
    learner.save(tmp_path)
    assert read_card(tmp_path).name == method and read_card(tmp_path).random
    assert find_method(method, Settings(weights=str(tmp_path))).name == method
    again = make_learner(weights(method), stage, previous=tmp_path)
    pairs = zip(learner.players["model"].parameters(), again.players["model"].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_new_network_of_mgld_is_the_image_model_with_spades_norms(
    weights: Callable[[str], Path], tmp_path: Path
) -> None:
    """Frames neither see each other nor the input; what is saved runs without features that nobody has taught."""
    base, stage = weights("sd-2-1-base"), small_stages("mgld-vsr")[0]
    learner = make_learner(base, stage, MGLDVSRDenoising(unet_options=TINY_STRUCTURE))
    image = from_folder(library_unet(), base / "unet", torch.float32, {})
    normalise(image)
    system, batch = learner.system, make_batch("mgld-vsr")
    random = ClipRandom(0, batch.numbers)
    levels, told = system.levels(random), {k: v.double() for k, v in system.condition(batch, random).items()}
    z = random.normal("z", (4, 2, 4, 4)).double()
    system.network.double(), image.double()  # norms over two numbers leave little of float32
    with torch.no_grad():
        ours = system.raw(z, levels, told)
        text = told["encoder_hidden_states"]
        theirs = torch.stack([image(z[:, :, i], levels.t, text, return_dict=False)[0] for i in range(2)], dim=2)
    assert (ours - theirs).abs().max() < 1e-6 * theirs.abs().max()
    system.network.float()
    learner.save(tmp_path)
    method = find_method("mgld-vsr", Settings(weights=str(tmp_path)))
    assert method.weights.random and read_card(tmp_path).defaults == {"decoder_weight": 0.0}


def library_unet() -> Any:
    import diffusers

    return diffusers.UNet2DConditionModel


def normalise(image: Any) -> None:
    """The library's residual blocks, with SPADE's norm before the input is added."""
    for _, block in list(image.named_modules()):
        if type(block).__name__ == "ResnetBlock2D":
            norm = torch.nn.GroupNorm(32, block.conv2.out_channels, 1e-5)
            block.conv2 = torch.nn.Sequential(block.conv2, norm)


def test_dc_vsr_starts_from_stable_video_diffusion(weights: Callable[[str], Path]) -> None:
    base = weights("svd")
    learner = make_learner(base, small_stages("dc-vsr")[0])
    stored = dict(SafetensorsFile(base / "unet" / "diffusion_pytorch_model.safetensors"))
    state = learner.players["model"].state_dict()
    assert all(torch.equal(state[name], tensor.float()) for name, tensor in stored.items())


def test_wrong_starts_are_refused_in_a_sentence(weights: Callable[[str], Path], tmp_path: Path) -> None:
    for method, words in (("mgld-vsr", "sd-2-1-base"), ("dc-vsr", "svd")):
        stage = small_stages(method)[0]
        with pytest.raises(SettingsError, match=f"--start with those of {words}"):
            stage.objective.learner(Start(device=CPU, seed=0), stage)
        odd = replace(stage, clips=replace(stage.clips, crop_px=36))
        with pytest.raises(SettingsError, match="crops of 36 px"):
            stage.objective.learner(Start(device=CPU, seed=0, weights=weights(method)), odd)
    finish_folder(tmp_path, "raft-things", random=False, started_from=weights("svd"))
    with pytest.raises(WeightsError, match=r"raft-things; dc-vsr starts from dc-vsr or svd"):
        stage.objective.learner(Start(device=CPU, seed=0, weights=tmp_path), stage)


@pytest.mark.parametrize("method", METHODS)
def test_a_student_learns_and_says_how_it_is_run(weights: Callable[[str], Path], method: str, tmp_path: Path) -> None:
    stage, batch = small_stages(method)[0], make_batch(method, count=1)
    teaching: Any = stage.objective
    few = FewSteps(teaching=teaching, steps=4, teacher_steps=9, guidance_scale=1.0 if method == "mgld-vsr" else 2.0)
    learner = few.learner(Start(device=CPU, seed=0, weights=weights(method)), stage)
    loss = learner.losses("model", batch, ClipRandom(0, batch.numbers))["distillation"]
    loss.backward()
    assert loss.isfinite() and any(p.grad is not None and p.grad.any() for p in learner.players["model"].parameters())
    assert all(p.grad is None for p in learner.teacher.network.parameters())
    learner.save(tmp_path)
    found = find_method(method, Settings(weights=str(tmp_path)))
    learned = learner.student.schedule(4)
    assert found.steps == 4 and found.guidance is None
    assert [(s.t, s.sigma) for s in found.make_schedule(4)] == [(s.t, s.sigma) for s in learned]
    assert type(found.sampler).__name__ == {"mgld-vsr": "DDIM", "dc-vsr": "Euler"}[method]


# ------------------------------------------------------------------------------------------ EDM


class Told:
    """A system whose network says a fixed tensor."""

    predicts = "v"

    def __init__(self, out: Tensor) -> None:
        self.out = out

    def raw(self, z: Tensor, levels: Levels, condition: Any) -> Tensor:
        return self.out


def test_the_loss_is_edms_with_clean_latents_of_deviation_one(weights: Callable[[str], Path]) -> None:
    system = make_learner(weights("dc-vsr"), small_stages("dc-vsr")[0]).system
    random = ClipRandom(0, tuple(range(500)))
    levels = system.levels(random)
    assert torch.allclose(levels.t, levels.sigma.log() / 4) and 0.002 <= levels.sigma.min() <= levels.sigma.max() <= 700
    logs = levels.sigma.log()
    assert abs(float(logs.mean()) - 0.7) < 0.2 and abs(float(logs.std()) - 1.6) < 0.15
    x0, eps, out = (random.normal(name, (2, 3)) for name in ("x0", "eps", "out"))
    error = prediction_error(system, out, x0, eps, levels)
    noisy = x0 + expanded(levels.sigma, x0) * eps
    denoised = clean_latent(Told(out), noisy, levels, None)  # type: ignore[arg-type]
    assert torch.allclose(error, edm_loss(denoised, x0, levels.sigma, 1.0), rtol=2e-3, atol=1e-4)


def test_some_clips_are_told_nothing(weights: Callable[[str], Path]) -> None:
    """Embedding and LR latent go together, and a clip's own number decides."""
    told = SVDConditioning(image_embedding="clip", noise_augmentation=0.1)
    objective = DCVSRDenoising(conditioning=told, drop_condition=0.5)
    system = make_learner(weights("dc-vsr"), small_stages("dc-vsr")[0], objective).system
    batch = make_batch("dc-vsr", count=6)
    condition = system.condition(batch, ClipRandom(0, batch.numbers))
    told_latent, told_embedding = (x.flatten(1).any(1) for x in (condition.latent, condition.embedding))
    assert torch.equal(told_latent, told_embedding) and 0 < int(told_latent.sum()) < 6
    assert condition.time_ids.shape == (6, 3) and math.isclose(float(condition.time_ids[0, 2]), 0.1, rel_tol=1e-6)
    last = replace(batch, numbers=(5,), hr=batch.hr[5:], lr=batch.lr[5:], captions=("",), keys=("",))
    again = system.condition(last, ClipRandom(0, (5,)))
    assert torch.allclose(again.latent, condition.latent[5:], atol=1e-5)
    assert not system.unconditional(condition).latent.any()  # type: ignore[attr-defined]
