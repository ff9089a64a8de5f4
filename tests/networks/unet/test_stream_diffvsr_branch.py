"""Stream-DiffVSR's denoiser and the branch beside it: the official numbers, names and sizes; what a new branch adds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from limpid.checkpoints.renames import compare
from limpid.networks.by_name import make_official, shapes_of
from limpid.networks.unet.config import official_branch_config, official_unet_config
from limpid.networks.unet.stream_diffvsr_branch import PreviousFrameBranch, skip_widths
from limpid.networks.unet.temporal_unet import TemporalUNet

TOLERANCE = 5e-5
REAL: dict[str, Any] = {
    "block_out_channels": [256, 512, 512, 1024],
    "attention_head_dim": 8,
    "cross_attention_dim": 1024,
    "only_cross_attention": [True, True, True, False],
    "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 3],
}


def networks(golden: Any) -> tuple[TemporalUNet, PreviousFrameBranch, Any]:
    item = golden("streamdiffvsr_unet")
    unet = TemporalUNet(**official_unet_config(item.meta["config"]))
    branch = PreviousFrameBranch(**official_branch_config({**item.meta["config"], **item.meta["controlnet_config"]}))
    unet.load_state_dict(item.weights)
    branch.load_state_dict(golden_branch(golden))
    return unet.eval(), branch.eval(), item


def golden_branch(golden: Any) -> Any:
    """Its weights, which have no description of their own."""
    from safetensors.torch import load_file

    folder = Path(__file__).resolve().parents[4] / "shared" / "golden"
    return {k: v.float() for k, v in load_file(folder / "streamdiffvsr_controlnet.weights.safetensors").items()}


@torch.no_grad()
@pytest.mark.parametrize("case", [0, 1, 2])
def test_equals_the_official_modules(case: int, golden: Any) -> None:
    unet, branch, item = networks(golden)
    given = {k.split("/in/")[1]: v for k, v in item.cases.items() if k.startswith(f"case{case}/in/")}
    wanted = {k.split("/out/")[1]: v for k, v in item.cases.items() if k.startswith(f"case{case}/out/")}
    clip: dict[str, Tensor] = {name: x[:, :, None] for name, x in given.items() if x.ndim == 4}
    told = {"low_res": clip["lr"], "encoder_hidden_states": given["prompt_embeds"]}
    args = (clip["latents"], given["timestep"])
    scale = item.meta["cases"][case]["conditioning_scale"]
    side = branch(*args, **told, previous=clip["controlnet_cond"], strength=scale)
    assert len(side.skips) == sum(name.startswith("control_down") for name in wanted)
    for index, skip in enumerate(side.skips):
        close(skip, wanted[f"control_down_{index:02}"])
    close(side.middle, wanted["control_mid"])
    close(unet(*args, **told)[:, :, 0], wanted["v_without_control"])
    close(unet(*args, **told, side=side)[:, :, 0], wanted["v_with_control"])


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("item", "kind"), [("unet", "unet"), ("controlnet", "stream_diffvsr_branch")])
def test_real_sizes_fit_one_to_one(item: str, kind: Any, golden_folder: Path) -> None:
    schema = json.loads((golden_folder / "schemas" / f"streamdiffvsr_{item}.json").read_text())
    network = make_official(kind, {**REAL, "num_class_embeds": None}, temporal=False)
    wrong = compare({name: row["shape"] for name, row in schema.items()}, shapes_of(network))
    assert not wrong, wrong.sentence()


def test_parameters_at_full_size() -> None:
    sizes = [
        sum(parameter.numel() for parameter in make_official(kind, REAL, temporal=False).parameters())
        for kind in ("unet", "stream_diffvsr_branch")
    ]
    assert sizes == [472_374_020, 207_699_264]


def test_a_new_branch_adds_nothing(make_inputs: Any) -> None:
    small = {"block_out_channels": (32, 64), "only_cross_attention": (True, False), "layers_per_block": 1}
    branch = PreviousFrameBranch(**small, num_heads=2, cross_attention_dim=16, picture_widths=(8, 16, 32))
    args, more = make_inputs(frames=2)
    del more["noise_level"]
    previous = torch.rand(1, 3, 2, 64, 32)
    side = branch(*args, **more, previous=previous)
    assert len(side.skips) == len(skip_widths((32, 64), 1)) == 4
    assert not any(skip.any() for skip in (*side.skips, side.middle))


def test_a_network_that_is_told_of_noise_asks_for_it(make_unet: Any, make_inputs: Any) -> None:
    args, more = make_inputs()
    del more["noise_level"]
    with pytest.raises(ValueError, match="noise_level"):
        make_unet(temporal=False)(*args, **more)
    assert make_unet(temporal=False, num_noise_levels=None)(*args, **more).shape == args[0].shape


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_class_embeds": 1000}, "noise levels"),
        ({"controlnet_conditioning_channel_order": "bgr"}, "bgr"),
        ({"only_cross_attention": [True]}, "1 values for 4 levels"),
    ],
)
def test_a_branch_of_another_kind_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=said):
        make_official("stream_diffvsr_branch", {**REAL, **change})
