"""One step of MGLD-VSR's released code, tiles, ancestral noise and guidance included, through our own parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from limpid.checkpoints.renames import rename_all
from limpid.consistency.lane_flow import LaneFlows
from limpid.consistency.motion_guidance import MotionGuidance
from limpid.convert import ldm_keys
from limpid.cuts.base import Cut
from limpid.cuts.blended import Blended
from limpid.diffusion.samplers import DDPM
from limpid.diffusion.schedules import Betas, vp_steps
from limpid.method import LaneContext, Method
from limpid.methods.mgld_vsr import RELEASED_GUIDANCE
from limpid.networks.unet.mgld_vsr_unet import StructuredUNet
from limpid.priors.mgld_vsr import MGLDVSRCondition, MGLDVSRPrior
from limpid.restoration.loop import canvas_of
from limpid.restoration.predict import predict
from limpid.types import Segment, Tile, Window

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden"
CONFIG: dict[str, Any] = {
    "block_out_channels": (32, 32, 32, 64),
    "layers_per_block": 1,
    "head_channels": 32,
    "cross_attention_dim": 48,
    "structure_channels": 64,
    "structure_block_channels": (32, 64, 64, 64),
    "structure_layers_per_block": 1,
    "structure_heads": 2,
}
STEPS = vp_steps(50, Betas(), spacing="linspace")
FRAMES = Window(start=0, stop=5)
SEGMENT = Segment(index=0, shot=0, shot_start=0, shot_stop=5, core=FRAMES, halo=FRAMES)
NO_CONTEXT: LaneContext = None  # type: ignore[assignment]  # hooks after `begin` do not look at it


@pytest.fixture(scope="module")
def prior() -> MGLDVSRPrior:
    if not GOLDEN.is_dir():
        pytest.skip("the golden tensors are not here")
    state = rename_all(load_file(GOLDEN / "mgld_unet.weights.safetensors"), ldm_keys.to_ours(ldm_keys.unet_pairs(1)))
    structure = ldm_keys.to_ours(ldm_keys.structure_pairs(1), place="structure.")
    state |= rename_all(load_file(GOLDEN / "mgld_struct.weights.safetensors"), structure)
    with torch.device("meta"):
        unet = StructuredUNet(**CONFIG)
    unet.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    unet.eval()
    networks, cpu = SimpleNamespace(use=lambda name: unet), torch.device("cpu")
    return MGLDVSRPrior(networks=networks, prompts=SimpleNamespace(), device=cpu, dtype=torch.float32)


def method(facts: dict[str, Any]) -> Method:
    return Method(
        name="golden",
        summary="",
        load=lambda placement: pytest.fail("nothing is loaded"),
        scale=4,
        steps=50,
        make_schedule=lambda count: STEPS,
        sampler=DDPM(),
        cuts=Blended(tile_px=2 * facts["tile"], tile_overlap_px=2 * facts["overlap"], tile_weights="gaussian_compat"),
    )


def clip(frames: Tensor) -> Tensor:
    return frames.transpose(0, 1)[None]


def condition(given: Callable[[str], Tensor]) -> MGLDVSRCondition:
    structure, text = given("struct_latent"), given("context")
    height, width = structure.shape[-2:]
    return MGLDVSRCondition(
        lr=torch.zeros(5, 3, 2 * height, 2 * width),
        place=Tile(top=0, bottom=height, left=0, right=width),
        structure=clip(structure),
        prompt=text,
        negative=text,
    )


@pytest.mark.parametrize("case", range(3))
@torch.no_grad()
def test_a_whole_step(prior: MGLDVSRPrior, case: int) -> None:
    facts = json.loads((GOLDEN / "mgld_guidance.json").read_text())["cases"][case]
    tensors = load_file(GOLDEN / "mgld_guidance.cases.safetensors")

    def given(name: str) -> Tensor:
        return tensors[f"case{case}/in/{name}"]

    step = STEPS[49 - facts["index"]]
    assert step.t == facts["t"]
    z, composed = clip(given("x")), method(facts)
    cut = Cut(tile_px=composed.cuts.tile_px, window_frames=None)
    grid = composed.cuts.denoise_grid(canvas_of(prior, z, SEGMENT, 0), cut)
    prediction = predict(composed, prior, z, step, condition(given), grid)
    found, _ = composed.sampler.step(z, prediction.x0, prediction.eps, step, None, lambda: clip(given("noise")))
    wanted = tensors[f"case{case}/out/sample_without_guidance"]
    torch.testing.assert_close(found, clip(wanted), rtol=0, atol=2e-4)
    state = LaneFlows(given("flow_to_next"), given("flow_to_prev"))
    guided = MotionGuidance(**RELEASED_GUIDANCE).on_latent(found, step, NO_CONTEXT, state)
    wanted = tensors[f"case{case}/out/sample_with_guidance"]
    torch.testing.assert_close(guided, clip(wanted), rtol=0, atol=2e-4)
