"""Whole runs of the reference pipelines of Upscale-A-Video and DiffVSR: ours, with what their code does differently.

The inputs, noise, texts, flows and weights are theirs; everything between is a `Method` made of our parts, through the
one loop.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import sample
from safetensors.torch import load_file
from torch import Tensor, nn

import limpid.restoration.loop as loop
from limpid.checkpoints.renames import Rules, rename_all
from limpid.consistency.combine import Combined
from limpid.consistency.propagation import LatentPropagation
from limpid.consistency.transition import LatentTransition, NoiseRescheduling
from limpid.convert.unet_keys import LAVIE_UNET_KEYS, UAV_UNET_KEYS
from limpid.convert.vae_keys import DIFFVSR_VAE_KEYS, UAV_VAE_3D_KEYS, UAV_VAE_VIDEO_KEYS
from limpid.cuts.blended import Blended
from limpid.diffusion.samplers import DDIM
from limpid.diffusion.schedules import Betas, vp_steps
from limpid.guidance.classifier_free import ClassifierFree
from limpid.method import LaneContext, Method, Strategy
from limpid.networks import autoencoder as autoencoders
from limpid.networks.autoencoder import official_vae_config
from limpid.networks.unet.config import official_unet_config
from limpid.networks.unet.temporal_unet import TemporalUNet
from limpid.priors.upscaler import UpscalerPrior
from limpid.types import Placement, Scene, Segment, Step, Window

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)
RULES: dict[str, Rules] = {
    "uav_unet": UAV_UNET_KEYS,
    "diffvsr_unet": LAVIE_UNET_KEYS,
    "uav_vae_3d": UAV_VAE_3D_KEYS,
    "uav_vae_video": UAV_VAE_VIDEO_KEYS,
    "diffvsr_vae": DIFFVSR_VAE_KEYS,
}


@pytest.fixture(autouse=True)
def _golden_or_skip() -> None:
    if not GOLDEN.exists():
        pytest.skip("the golden tensors are not here")


def weights(item: str, names: list[str]) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name in names:
        state |= {key: value.float() for key, value in load_file(GOLDEN / name).items()}
    return rename_all(state, RULES[item])


def network(item: str) -> Any:
    facts = json.loads((GOLDEN / f"{item}.json").read_text())
    if item.endswith("_unet"):
        net: nn.Module = TemporalUNet(**official_unet_config(facts["config"]))
    else:
        kind, config = official_vae_config(facts["config"])
        # the released image decoder is the inflated one, whose norms are pooled over a chunk
        net = getattr(autoencoders, kind)(**config)
    net.load_state_dict(weights(item, facts["weights"]))
    return net.eval().requires_grad_(False)


@dataclass(frozen=True)
class Networks:
    unet: Any
    vae: Any

    def use(self, name: str) -> Any:
        return getattr(self, name)


@dataclass(frozen=True)
class Texts:
    prompt: Tensor
    other: Tensor

    def positive(self, shot: int) -> Tensor:
        return self.prompt

    def negative(self) -> Tensor:
        return self.other


@dataclass(frozen=True, kw_only=True)
class Watching(Strategy):
    """Passes everything on, and keeps what comes by."""

    inner: Strategy
    x0: list[Tensor]
    propagated: dict[int, Tensor]
    latents: list[Tensor]

    def begin(self, context: LaneContext) -> Any:
        return self.inner.begin(context)

    def on_x0(self, x0: Tensor, step: Step, context: LaneContext, state: Any) -> Tensor:
        self.x0.append(x0)
        self.propagated[step.index] = self.inner.on_x0(x0, step, context, state)
        return self.propagated[step.index]

    def on_latent(self, z: Tensor, step: Step, context: LaneContext, state: Any) -> Tensor:
        self.latents.append(z)
        return z


class GivenFlow:
    """The flows of a case in the order in which they are asked for: forward, then backward."""

    def __init__(self, cases: dict[str, Tensor], case: str) -> None:
        self.flows = [cases[f"{case}/in/flows_{d}"][0].transpose(0, 1) for d in ("forward", "backward")]

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        return self.flows.pop(0)


def upscaler_prior(cases: dict[str, Tensor], case: str, networks: Networks, shape: str, level: int) -> UpscalerPrior:
    noise = cases[f"{case}/in/lr_noise"]

    def low_res_noise(scene: Scene, height: int, width: int) -> Tensor:
        return noise[:, :, scene.frames.start : scene.frames.stop]

    return UpscalerPrior(
        networks=networks,
        prompts=Texts(cases[f"{case}/in/prompt_embeds"], cases[f"{case}/in/negative_prompt_embeds"]),
        low_res_alphas_cumprod=Betas(start=1e-4, end=0.02, shape=shape).alphas_cumprod(),  # type: ignore[arg-type]
        noise_level=level,
        device=CPU.device,
        dtype=CPU.dtype,
        low_res_noise=low_res_noise,
    )


def run(
    method: Method, prior: UpscalerPrior, lr: Tensor, latents: Tensor, steps: int, monkeypatch: pytest.MonkeyPatch
) -> Tensor:
    """``lr``: ``1 3 t h w`` in [-1, 1] -> frames ``t 3 H W`` in [-1, 1]."""

    def given(seed: int, stream: str, frames: list[int], *_: int) -> Tensor:
        assert stream == "init"
        return latents[:, :, list(frames)].clone()

    monkeypatch.setattr(loop, "noise_clip", given)
    whole = Window(start=0, stop=lr.shape[2])
    segment = Segment(index=0, shot=0, shot_start=0, shot_stop=lr.shape[2], core=whole, halo=whole)
    frames = (lr[0].transpose(0, 1) + 1) / 2
    return sample(method, prior, frames, segment, steps=method.make_schedule(steps), seed=0) * 2 - 1


GEOMETRY = {field.name for field in fields(Blended)}


def released(betas: Betas, **values: Any) -> Method:
    geometry = {name: values.pop(name) for name in GEOMETRY & set(values)}
    return Method(
        name="released",
        summary="",
        load=lambda placement: pytest.fail("nothing is loaded"),
        scale=4,
        steps=1,
        make_schedule=lambda n: vp_steps(n, betas, spacing="leading", offset=1, final_alpha="first"),
        sampler=DDIM(),
        cuts=Blended(window_frames=8, released_compat=True, **geometry),
        color="none",
        **values,
    )


def close(ours: Tensor, theirs: Tensor, atol: float = 5e-4) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_upscale_a_video(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cases, case = load_file(GOLDEN / "uav_pipeline.cases.safetensors"), f"case{index}"
    facts = json.loads((GOLDEN / "uav_pipeline.json").read_text())["cases"][index]
    networks = Networks(network("uav_unet"), network(facts["vae"]))
    inner: Strategy = Strategy()
    if facts["propagation_steps"]:
        steps = tuple(facts["propagation_steps"])
        inner = LatentPropagation(steps=steps, adaptive_compat=(0.001, 0.05), estimator=GivenFlow(cases, case))
    watching = Watching(inner=inner, x0=[], propagated={}, latents=[])
    method = released(
        Betas(start=1e-4, end=0.02, shape=facts["beta_schedule"]),
        strategy=watching,
        guidance=ClassifierFree(scale=facts["guidance"], batched=index == 0),
        window_overlap_frames=2,
        decode_frames=3,
    )
    prior = upscaler_prior(cases, case, networks, facts["low_res_beta_schedule"], facts["noise_level"])
    assert [step.t for step in method.make_schedule(facts["steps"])] == cases[f"{case}/out/timesteps"].tolist()
    lr = cases[f"{case}/in/lr"]
    noised = prior.condition((lr[0].transpose(0, 1) + 1) / 2, Scene(seed=0, frames=range(lr.shape[2]), shot=0)).noised
    close(noised, cases[f"{case}/out/lr_noised"], atol=1e-5)
    image = run(method, prior, lr, cases[f"{case}/in/latents"], facts["steps"], monkeypatch)
    close(torch.stack(watching.x0), cases[f"{case}/out/x0_before_propagation"])
    close(torch.stack(watching.latents), cases[f"{case}/out/latents_after_step"])
    for step in facts["propagation_steps"]:
        close(watching.propagated[step], cases[f"{case}/out/x0_after_propagation_step{step}"])
    close(watching.latents[-1], cases[f"{case}/out/latents"])
    if f"{case}/out/image" in cases:
        close(image.transpose(0, 1)[None], cases[f"{case}/out/image"])


def test_diffvsr(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = load_file(GOLDEN / "diffvsr_pipeline.cases.safetensors")
    facts = json.loads((GOLDEN / "diffvsr_pipeline.json").read_text())["cases"][0]
    networks = Networks(network("diffvsr_unet"), network("diffvsr_vae"))
    shuffled = tuple(tuple(group) for group in facts["shuffle_result"])
    strategy = Combined(
        strategies=(
            NoiseRescheduling(permutation_compat=shuffled),
            LatentTransition(fusion_compat=True, padding_compat=True),
        )
    )
    method = released(
        Betas(start=1e-4, end=0.02, shape="linear"),
        strategy=strategy,
        guidance=ClassifierFree(scale=facts["guidance"]),
        decode_frames=4,
    )
    prior = upscaler_prior(cases, "case0", networks, "scaled_linear", facts["noise_level"])
    decoded: list[Tensor] = []
    decode = type(prior).decode

    def watched(self: UpscalerPrior, z: Tensor, condition: Any) -> Tensor:
        decoded.append(z)
        return decode(self, z, condition)

    monkeypatch.setattr(UpscalerPrior, "decode", watched)
    lanes = strategy.lanes(whole_shot(facts["T"]))
    assert [[lane.window.start, lane.window.stop] for lane in lanes] == facts["windows"]
    starts = [strategy.noise_frames(lane_frames(lane), whole_shot(facts["T"]), 0) for lane in lanes]
    latents = cases["case0/in/latents"]
    close(torch.stack([latents[:, :, list(f)] for f in starts]), cases["case0/out/window_initial_latents"], atol=0)
    image = run(method, prior, cases["case0/in/lr"], latents, facts["steps"], monkeypatch)
    close(torch.cat(decoded, dim=2), cases["case0/out/latents"])
    close(image, cases["case0/out/image"])


def whole_shot(frames: int) -> Segment:
    whole = Window(start=0, stop=frames)
    return Segment(index=0, shot=0, shot_start=0, shot_stop=frames, core=whole, halo=whole)


def lane_frames(lane: Any) -> range:
    return range(lane.window.start, lane.window.stop)
