"""The prior of DC-VSR against the official modules, the library's own loop, and itself cut otherwise."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler, UNetSpatioTemporalConditionModel
from fakes import sample
from safetensors.torch import load_file
from torch import Tensor

from limpid.cuts.blended import Blended
from limpid.diffusion.samplers import Euler
from limpid.diffusion.schedules import karras_steps
from limpid.guidance.classifier_free import ClassifierFree
from limpid.method import Method
from limpid.priors.dc_vsr import DCVSRCondition, DCVSRPrior, SVDConditioning, embed_image, spatial_self_attentions
from limpid.types import Prediction, Scene, Segment, Tile, Window

UNET: dict[str, Any] = {
    "block_out_channels": (32, 32, 32, 64),
    "addition_time_embed_dim": 32,
    "projection_class_embeddings_input_dim": 96,
    "layers_per_block": 1,
    "cross_attention_dim": 32,
    "num_attention_heads": (1, 1, 1, 2),
}
VAE: dict[str, Any] = {
    "block_out_channels": (32, 32, 32, 32),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "layers_per_block": 1,
}


class Networks(dict[str, Any]):
    use = dict.__getitem__


def make_prior(conditioning: SVDConditioning | None = None, **more: Any) -> DCVSRPrior:
    torch.manual_seed(0)
    networks = {
        "unet": UNetSpatioTemporalConditionModel(**UNET).eval(),
        "vae": AutoencoderKLTemporalDecoder(**VAE).eval(),
    }
    return prior_of(Networks({**networks, **more}), conditioning)


def prior_of(networks: Any, conditioning: SVDConditioning | None = None) -> DCVSRPrior:
    unet = networks["unet"]
    return DCVSRPrior(
        networks=networks,
        self_attentions=spatial_self_attentions(unet) if isinstance(unet, torch.nn.Module) else (),
        conditioning=conditioning or SVDConditioning(),
        device=torch.device("cpu"),
        dtype=torch.float32,
        embedding_channels=32,
    )


def scene(count: int) -> Scene:
    return Scene(seed=3, frames=range(count), shot=0)


@pytest.fixture(scope="module")
def prior() -> DCVSRPrior:
    return make_prior()


# ------------------------------------------------------------------------------------------ golden tensors


@pytest.mark.parametrize("case", [0, 1])
@torch.no_grad()
def test_golden_unet(golden_folder: Path, case: int) -> None:
    facts = json.loads((golden_folder / "svd_unet.json").read_text())
    unet = UNetSpatioTemporalConditionModel(**facts["config"]).eval()
    unet.load_state_dict(load_file(golden_folder / "svd_unet.weights.safetensors"))
    cases = load_file(golden_folder / facts["cases_file"])
    told = {name: cases[f"case{case}/in/{name}"] for name in ("sample", "encoder_hidden_states", "added_time_ids")}
    sigma = facts["cases"][case]["sigma"]
    step = replace(karras_steps(1, 0.001, sigma)[0], t=float(cases[f"case{case}/in/timestep"]))
    noisy, latent = told["sample"].transpose(1, 2).split(4, dim=1)
    condition = DCVSRCondition(
        latent=latent, embedding=told["encoder_hidden_states"], time_ids=told["added_time_ids"].float()
    )
    radius = math.hypot(1, sigma)
    found = prior_of(Networks(unet=unet)).denoise(noisy * radius, step, condition)
    v = found.eps / radius - sigma / radius * found.x0
    wanted = cases[f"case{case}/out/sample"].transpose(1, 2)
    assert (v - wanted).abs().max() < 5e-5 * max(1.0, float(wanted.abs().max()))


class Told:
    """A denoiser that says what it is told to say, and keeps what it was given."""

    def __init__(self, outputs: Tensor) -> None:
        self.outputs, self.inputs = outputs, list[Tensor]()

    def __call__(self, sample: Tensor, timestep: Tensor, **_: Any) -> tuple[Tensor]:
        self.inputs.append(sample[:, :, :4])
        return (self.outputs[len(self.inputs) - 1],)


def test_golden_schedule_and_sampler(golden_folder: Path) -> None:
    cases = load_file(golden_folder / "svd_schedule.cases.safetensors")
    for name, wanted in cases.items():
        if name.endswith("/sigmas"):
            steps = karras_steps(len(wanted) - 1, 0.002, 700.0)
            torch.testing.assert_close(torch.tensor([s.sigma for s in steps]), wanted[:-1].float(), rtol=1e-5, atol=0)
            times = cases[name.replace("sigmas", "timesteps")].float()
            torch.testing.assert_close(torch.tensor([s.t for s in steps]), times, rtol=1e-5, atol=1e-6)
    unet = Told(cases["step_test/in/model_outputs"])
    z = (cases["step_test/in/unit_noise"] * cases["steps25/init_noise_sigma"]).transpose(1, 2)
    nothing = DCVSRCondition(latent=torch.zeros_like(z), embedding=torch.zeros(1, 1, 32), time_ids=torch.zeros(1, 3))
    for i, step in enumerate(karras_steps(25, 0.002, 700.0)):
        x0, eps = prior_of(Networks(unet=unet)).denoise(z, step, nothing)
        z, _ = Euler().step(z, x0, eps, step, None, no_noise)
        close(unet.inputs[i], cases["step_test/out/model_inputs"][i])
        close(z.transpose(1, 2), cases["step_test/out/samples"][i])


def no_noise() -> Tensor:
    raise AssertionError("the sampler is deterministic")


def close(found: Tensor, wanted: Tensor) -> None:
    """Within 1e-5 of the largest number there."""
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


# ------------------------------------------------------------------------------------------ the library's loop


def method_of(guidance: ClassifierFree | None) -> Method:
    return Method(
        name="dc-vsr",
        summary="",
        load=lambda placement: make_prior(),
        scale=4,
        steps=6,
        make_schedule=lambda n: karras_steps(n, 0.002, 700.0),
        sampler=Euler(),
        guidance=guidance,
        cuts=Blended(),
        color="none",
    )


@torch.no_grad()
def library_loop(prior: DCVSRPrior, condition: DCVSRCondition, noise: Tensor, steps: int, w: float) -> Tensor:
    """What a pipeline of diffusers does, in its layout ``b t c h w``."""
    scheduler = EulerDiscreteScheduler(
        prediction_type="v_prediction",
        use_karras_sigmas=True,
        timestep_type="continuous",
        sigma_min=0.002,
        sigma_max=700.0,
        steps_offset=1,
    )
    scheduler.set_timesteps(steps)
    z, latent = noise.transpose(1, 2), condition.latent.transpose(1, 2)
    told = {"added_time_ids": condition.time_ids, "encoder_hidden_states": condition.embedding[:, :1]}
    for t in scheduler.timesteps:
        scaled, unet = scheduler.scale_model_input(z, t), prior.networks.use("unet")
        out = unet(torch.cat([scaled, latent], dim=2), t, **told).sample
        if w != 1.0:
            none = unet(torch.cat([scaled, torch.zeros_like(latent)], dim=2), t, **told).sample
            out = none + w * (out - none)
        z = scheduler.step(out, t, z).prev_sample
    return z.transpose(1, 2)


@pytest.mark.parametrize("w", [1.0, 2.5])
def test_a_run_is_the_loop_of_the_library(prior: DCVSRPrior, w: float, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    steps = 6  # and levels of no less than 2x3: groups of one or two numbers would enlarge rounding
    lr = torch.rand(5, 3, 21, 33)
    made: dict[str, Tensor] = {}

    def drawn(seed: int, stream: str, frames: Any, step: int, *size: int) -> Tensor:
        return made.setdefault("noise", torch.randn(1, size[0], len(frames), *size[1:])).clone()

    def kept(self: DCVSRPrior, z: Tensor, condition: Any) -> Tensor:
        made["z"] = z
        return torch.zeros(z.shape[2], 3, 8 * z.shape[-2], 8 * z.shape[-1])

    monkeypatch.setattr("limpid.restoration.loop.noise_clip", drawn)
    monkeypatch.setattr(DCVSRPrior, "decode", kept)
    whole = Window(start=0, stop=5)
    segment = Segment(index=0, shot=0, shot_start=0, shot_stop=5, core=whole, halo=whole)
    method = method_of(None if w == 1.0 else ClassifierFree(scale=w))
    frames = sample(method, prior, lr, segment, steps=method.make_schedule(steps), seed=0)
    assert frames.shape == (5, 3, 84, 132)
    wanted = library_loop(prior, prior.condition(lr, scene(5)), 700.0 * made["noise"], steps, w)
    assert made["z"].shape == (1, 4, 5, 16, 24)
    assert (made["z"] - wanted).abs().max() < 1e-4 * max(1.0, float(wanted.abs().max()))


# ------------------------------------------------------------------------------------------ condition


@torch.no_grad()
def test_condition_is_the_unscaled_latent_of_the_bicubic_frames(prior: DCVSRPrior) -> None:
    lr = torch.rand(2, 3, 32, 48)
    condition = prior.condition(lr, scene(2))
    large = torch.nn.functional.interpolate(lr, (128, 192), mode="bicubic", align_corners=False).clamp(0, 1)
    wanted = prior.networks.use("vae").encode(large * 2 - 1).latent_dist.mode().transpose(0, 1)[None]
    torch.testing.assert_close(condition.latent, wanted, rtol=1e-4, atol=1e-5)
    assert condition.time_ids.tolist() == [[7.0, 127.0, 0.0]] and not condition.embedding.any()
    torch.testing.assert_close(prior.encode(condition), wanted * 0.18215, rtol=1e-4, atol=1e-5)
    scaled = make_prior(SVDConditioning(condition_scale=0.5)).condition(lr, scene(2))
    torch.testing.assert_close(scaled.latent, wanted * 0.5, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_large_pictures_are_encoded_in_tiles_and_small_ones_padded(prior: DCVSRPrior, monkeypatch: Any) -> None:
    sizes: list[tuple[int, ...]] = []
    encode = prior.networks.use("vae").encode
    monkeypatch.setattr(prior.networks.use("vae"), "encode", lambda x: sizes.append(tuple(x.shape)) or encode(x))
    lr = torch.rand(1, 3, 40, 150)
    latent = prior.condition(lr, scene(1)).latent
    assert latent.shape == (1, 4, 1, 24, 80) and sizes == [(1, 3, 192, 384)] * 2  # equally long, 16 latents in common
    for edge, latents in ((16, 8), (17, 16), (128, 64), (129, 72)):
        assert prior.latent_size(edge, 16) == (latents, 8)
    assert prior.condition(torch.rand(1, 3, 17, 31), scene(1)).latent.shape == (1, 4, 1, 16, 16)


def test_unconditional_and_crop() -> None:
    condition = DCVSRCondition(
        latent=torch.rand(1, 4, 3, 8, 16), embedding=torch.rand(1, 3, 5), time_ids=torch.rand(1, 3)
    )
    none, both = condition.unconditional(), condition.both()
    assert not none.latent.any() and not none.embedding.any() and torch.equal(none.time_ids, condition.time_ids)
    assert torch.equal(both.latent[1:], condition.latent) and not both.latent[:1].any() and len(both.time_ids) == 2
    assert torch.equal(replace(condition, without_latent=False).unconditional().latent, condition.latent)
    part = condition.crop(Window(start=1, stop=3), Tile(top=0, bottom=8, left=4, right=12))
    assert part.latent.shape == (1, 4, 2, 8, 8) and torch.equal(part.embedding, condition.embedding[:, 1:])
    with pytest.raises(ValueError, match="leave out the LR latent"):
        SVDConditioning(unconditional="embedding")


@torch.no_grad()
def test_noise_augmentation_follows_the_frame() -> None:
    lr, noisy = torch.rand(3, 3, 16, 16), make_prior(SVDConditioning(noise_augmentation=0.1))
    one = noisy.condition(lr, scene(3))
    later = noisy.condition(lr[1:], Scene(seed=3, frames=range(1, 3), shot=0))
    torch.testing.assert_close(one.latent[:, :, 1:], later.latent)
    assert not torch.allclose(one.latent, make_prior().condition(lr, scene(3)).latent)
    assert one.time_ids[0, 2] == pytest.approx(0.1)


@torch.no_grad()
def test_clip_embeds_the_first_frame_of_a_window() -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(1)
    small: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
    }
    config = CLIPVisionConfig(**small, image_size=28, patch_size=14, projection_dim=32)
    prior = make_prior(SVDConditioning(image_embedding="clip"), image_encoder=CLIPVisionModelWithProjection(config))
    lr = torch.rand(3, 3, 16, 32)
    condition = prior.condition(lr, scene(3))
    assert condition.embedding.shape == (1, 3, 32)
    part = condition.crop(Window(start=1, stop=3), Tile(top=0, bottom=8, left=0, right=8))
    wanted = embed_image(prior.networks.use("image_encoder"), lr[1:2])
    torch.testing.assert_close(part.embedding[:, 0], wanted)
    step = karras_steps(2, 0.002, 700.0)[1]
    z = torch.randn(1, 4, 2, 8, 8)
    told, untold = prior.denoise(z, step, part), prior.denoise(z, step, replace(part, embedding=0 * part.embedding))
    assert isinstance(told, Prediction) and not torch.equal(told.x0, untold.x0)


def test_self_attentions_go_from_input_to_output(prior: DCVSRPrior) -> None:
    names = [name for name, _ in prior.self_attentions]
    assert names[0] == "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    assert names[-1].startswith("up_blocks.3.") and len(names) == 3 + 1 + 2 * 3
    assert [name.split(".")[0] for name in names] == ["down_blocks"] * 3 + ["mid_block"] + ["up_blocks"] * 6


@torch.no_grad()
def test_decoded_frames_are_a_new_tensor_in_range(prior: DCVSRPrior) -> None:
    z = torch.randn(1, 4, 3, 8, 16)
    frames = prior.decode(z, None)  # type: ignore[arg-type]
    assert frames.shape == (3, 3, 64, 128) and float(frames.min()) >= 0 and float(frames.max()) <= 1
