"""A whole run of Stream-DiffVSR's pipeline, its warp and its schedule: ours against the official ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fakes import sample
from safetensors.torch import load_file
from torch import Tensor

import limpid.restoration.loop as loop
from limpid.consistency.previous_frame import PreviousFrame, stretched_warp
from limpid.cuts.blended import Blended
from limpid.diffusion.parametrisations import from_v
from limpid.diffusion.samplers import DDIM
from limpid.diffusion.schedules import Betas, vp_steps
from limpid.method import LaneContext, Method
from limpid.networks.by_name import make_official
from limpid.priors.load.schedule_config import read_betas, read_schedule
from limpid.priors.stream_diffvsr import StreamDiffVSRPrior
from limpid.types import Segment, Step, Window

PIPELINE_TOLERANCE = 5e-4


@dataclass(frozen=True)
class Networks:
    """The small official networks, filled."""

    unet: Any
    controlnet: Any
    vae: Any

    def use(self, name: str) -> Any:
        return getattr(self, name)


class GivenFlow:
    """The flows of the case, frame after frame, and what it was asked for."""

    def __init__(self, flows: Tensor) -> None:
        self.flows, self.asked = list(flows[:, None]), list[Tensor]()

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        self.asked += [second, first]
        return self.flows.pop(0)


@dataclass(frozen=True, kw_only=True)
class Watching(PreviousFrame):
    """Keeps what comes by."""

    warped: list[Tensor]
    latents: list[Tensor]
    frames: list[Tensor]

    def begin(self, context: LaneContext) -> Tensor | None:
        state = super().begin(context)
        self.warped.extend([] if state is None else [state])
        return state

    def on_latent(self, z: Tensor, step: Step, context: LaneContext, state: Any) -> Tensor:
        self.latents.extend([z[:, :, 0]] if step.index == step.count - 1 else [])
        return z

    def on_frames(self, frames: Tensor, context: LaneContext, state: Any) -> None:
        super().on_frames(frames, context, state)
        self.frames.append(frames.clone())


def networks(golden: Any, folder: Path) -> Networks:
    unet, vae = golden("streamdiffvsr_unet"), golden("streamdiffvsr_vae")
    branch = load_file(folder / "streamdiffvsr_controlnet.weights.safetensors")
    config = {**unet.meta["config"], **unet.meta["controlnet_config"]}
    found = {
        "unet": (make_official("unet", unet.meta["config"], temporal=False), unet.weights),
        "controlnet": (make_official("stream_diffvsr_branch", config), {k: v.float() for k, v in branch.items()}),
        "vae": (make_official("vae", vae.meta["config"]), vae.weights),
    }
    for network, state in found.values():
        network.load_state_dict(state, assign=True)
        network.eval().requires_grad_(False)
    filled = {name: network for name, (network, _) in found.items()}
    for name in ("unet", "controlnet"):  # buffers that are no part of the files stayed without numbers
        assert not any(buffer.is_meta for buffer in filled[name].buffers())
    return Networks(**filled)


def method_of(strategy: PreviousFrame, config: dict[str, Any]) -> Method:
    betas = Betas(start=config["beta_start"], end=config["beta_end"], shape=config["beta_schedule"])
    return Method(
        name="golden",
        summary="",
        load=lambda placement: pytest.fail("nothing is loaded"),
        scale=4,
        steps=4,
        make_schedule=lambda n: vp_steps(n, betas, spacing="trailing", final_alpha="first"),
        sampler=DDIM(),
        strategy=strategy,
        cuts=Blended(window_frames=1, decode_frames=1),
        color="none",
    )


def close(ours: Tensor, theirs: Tensor, atol: float = PIPELINE_TOLERANCE) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("correct", [False, True])
def test_pipeline(correct: bool, golden: Any, golden_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``correct``: with a warp that keeps still pictures, which is not what the weights were trained with."""
    item = golden("streamdiffvsr_pipeline")
    given = {k.split("/in/")[1]: v for k, v in item.cases.items() if "/in/" in k}
    wanted = {k.split("/out/")[1]: v for k, v in item.cases.items() if "/out/" in k}
    if correct:
        from limpid.flow.warp import warp

        monkeypatch.setattr(
            "limpid.consistency.previous_frame.stretched_warp", lambda x, flow: warp(x, flow, "bilinear")
        )
    flow = GivenFlow(given["flow_cur_to_prev"])
    strategy = Watching(estimator=flow, warped=[], latents=[], frames=[])
    method = method_of(strategy, item.meta["scheduler_config"])
    assert [step.t for step in method.make_schedule(4)] == item.meta["cases"][0]["timesteps"]
    prior = StreamDiffVSRPrior(
        networks=networks(golden, golden_folder),
        prompt=given["prompt_embeds"],
        device=torch.device("cpu"),
        dtype=torch.float32,
    )

    def noise(seed: int, stream: str, frames: list[int], *_: int) -> Tensor:
        assert stream == "init"
        return given["initial_noise"][list(frames)].transpose(0, 1)[None].clone()

    monkeypatch.setattr(loop, "noise_clip", noise)
    lr = given["lr_uint8"].permute(0, 3, 1, 2).float() / 255
    whole = Window(start=0, stop=len(lr))
    segment = Segment(index=0, shot=0, shot_start=0, shot_stop=len(lr), core=whole, halo=whole)
    image = sample(method, prior, lr, segment, steps=method.make_schedule(4), seed=0)
    if correct:
        assert (image - wanted["image_0_1"]).abs().max() > 10 * PIPELINE_TOLERANCE
        return
    close(torch.cat(strategy.warped), wanted["warped_previous"])
    close(torch.cat(strategy.latents), wanted["latents"])
    close(torch.cat(strategy.frames) * 2 - 1, wanted["image_unclamped"])
    close(image, wanted["image_0_1"])
    enlarged = torch.cat([flow.asked[0], flow.asked[1], flow.asked[3]])
    close(enlarged * 2 - 1, wanted["lr_upscaled_bicubic"], atol=1e-5)


@pytest.mark.parametrize("case", [0, 1])
def test_warp(case: int, golden: Any) -> None:
    item = golden("streamdiffvsr_warp")
    x, flow = item.cases[f"case{case}/in/x"], item.cases[f"case{case}/in/flow_B_H_W_xy"].permute(0, 3, 1, 2)
    close(stretched_warp(x, flow), item.cases[f"case{case}/out/bilinear"], atol=1e-5)
    close(stretched_warp(x, torch.zeros_like(flow)), item.cases[f"case{case}/out/zero_flow"], atol=1e-5)


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_schedule(index: int, golden: Any, tmp_path: Path) -> None:
    item = golden("streamdiffvsr_scheduler")
    (tmp_path / "scheduler_config.json").write_text(json.dumps(item.meta["configs"][index]["values"]))
    config, betas = read_schedule(tmp_path), read_betas(tmp_path, force_linear=False)
    cases = item.cases
    np.testing.assert_allclose(betas.alphas_cumprod(), cases[f"config{index}/alphas_cumprod"].numpy(), rtol=2e-6)
    offset = config.steps_offset if config.spacing == "leading" else 0
    for count in (1, 2, 4) if index == 0 else (4,):
        start = f"config{index}/steps{count}"
        steps = vp_steps(count, betas, spacing=config.spacing, offset=offset, final_alpha=config.final_alpha)
        assert [step.t for step in steps] == cases[f"{start}/out/timesteps"].tolist()
        z = cases[f"{start}/in/sample"]
        for step, out in zip(steps, cases[f"{start}/in/model_outputs"], strict=True):
            prediction = from_v(z, out, step)
            z, _ = DDIM().step(z, prediction.x0, prediction.eps, step, None, lambda: pytest.fail("no chance"))
            # their products are summed up in float32, ours in float64
            close(prediction.x0, cases[f"{start}/out/x0"][step.index], atol=1e-5)
            close(z, cases[f"{start}/out/samples"][step.index], atol=1e-5)


def test_frames_for_the_flow_are_those_that_are_enlarged_as_they_are() -> None:
    """Not clipped: the flow network is given what bicubic interpolation makes of an edge."""
    asked: list[Tensor] = []

    def estimator(first: Tensor, second: Tensor) -> Tensor:
        asked.append(first)
        return torch.zeros(1, 2, *first.shape[-2:])

    lr = torch.zeros(1, 3, 8, 8)
    lr[..., 4:] = 1.0
    strategy = PreviousFrame(estimator=estimator)
    strategy._flow(lr, {"previous_lr": lr})
    assert torch.equal(asked[0], F.interpolate(lr, scale_factor=4, mode="bicubic", align_corners=False))
    assert asked[0].max() > 1
