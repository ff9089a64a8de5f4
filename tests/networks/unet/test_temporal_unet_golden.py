"""The temporal U-Net against the official modules: their numbers, their names, their sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from limpid.checkpoints.renames import Rules, compare, rename, rename_all
from limpid.convert import unet_keys
from limpid.convert.start_unet import unet_kinds
from limpid.networks.temporal.positions import rotary_frequencies
from limpid.networks.unet.config import official_unet_config
from limpid.networks.unet.temporal_unet import TemporalUNet

TOLERANCE = 5e-5
FROZEN = 16 * 16
"""Rotary frequencies in the official layers over time: 16 numbers in each of 16 layers, which are constants here."""
RULES = {
    "uav_unet": unet_keys.UAV_UNET_KEYS,
    "diffvsr_unet": unet_keys.LAVIE_UNET_KEYS,
    "lavie_unet": unet_keys.LAVIE_UNET_KEYS,
}
CASES = [("uav_unet", 4), ("diffvsr_unet", 3)]


def load(folder: Path, item: str) -> tuple[TemporalUNet, dict[str, Tensor], dict[str, Any]]:
    facts = json.loads((folder / f"{item}.json").read_text())
    weights: dict[str, Tensor] = {}
    for name in facts["weights"]:
        weights |= load_file(folder / name)
    with torch.device("meta"):
        unet = TemporalUNet(**official_unet_config(facts["config"]))
    unet.load_state_dict({k: v.float() for k, v in rename_all(weights, RULES[item]).items()}, assign=True)
    return unet.eval(), weights, facts


def call(unet: TemporalUNet, inputs: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        out: Tensor = unet(
            inputs["sample"],
            inputs["timestep"],
            low_res=inputs["low_res"],
            encoder_hidden_states=inputs["encoder_hidden_states"],
            noise_level=inputs["class_labels"],
        )
    return out


@pytest.mark.parametrize(("item", "count"), CASES)
def test_equals_the_official_module(golden_folder: Path, item: str, count: int) -> None:
    unet, _, facts = load(golden_folder, item)
    tensors = load_file(golden_folder / f"{item}.cases.safetensors")
    assert len(facts["cases"]) == count
    for case in range(count):
        start = f"case{case}/in/"
        out = call(unet, {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)})
        torch.testing.assert_close(out, tensors[f"case{case}/out/sample"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("item", [item for item, _ in CASES])
def test_inner_modules_equal_the_official_ones(golden_folder: Path, item: str) -> None:
    """Layers over time and transformers one by one: two mistakes that cancel out would be found here."""
    unet, _, _ = load(golden_folder, item)
    trace = load_file(golden_folder / f"{item}.trace.safetensors")
    tensors = load_file(golden_folder / f"{item}.cases.safetensors")
    wanted = {rename(key + ".", RULES[item])[:-1]: value for key, value in trace.items()}
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda module, args, out: seen.update({name: (out[0] if isinstance(out, tuple) else out).clone()})

    for name, module in unet.named_modules():
        if name in wanted:
            module.register_forward_hook(keep(name))
    start = "case0/in/"
    call(unet, {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)})
    assert len(seen) >= 8
    for name, out in seen.items():
        torch.testing.assert_close(official_layout(out, wanted[name]), wanted[name], rtol=0, atol=TOLERANCE, msg=name)


def official_layout(out: Tensor, like: Tensor) -> Tensor:
    """Clips as ``b c t h w``, temporal attention as ``(b h w) t c``, attention in space as ``(b t) (h w) c``."""
    if like.ndim == 5:
        return out.unflatten(0, (like.shape[0], like.shape[2])).transpose(1, 2)
    if like.ndim == 3 and out.shape != like.shape:
        frames, places = like.shape[1], like.shape[0]
        return out.transpose(0, 1) if out.shape[:2] == (frames, places) else out.reshape(like.shape)
    return out


@pytest.mark.parametrize("item", [item for item, _ in CASES])
def test_rotary_frequencies_of_files_are_the_constants(golden_folder: Path, item: str) -> None:
    _, weights, _ = load(golden_folder, item)
    copies = [value for key, value in weights.items() if key.endswith("freqs")]
    assert copies
    for copy in copies:
        torch.testing.assert_close(copy, rotary_frequencies(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("item", list(RULES))
def test_real_sizes_fit_one_to_one(golden_folder: Path, item: str) -> None:
    """Every official tensor has one of ours with its shape, except the copies of the rotary frequencies."""
    schema = json.loads((golden_folder / "schemas" / f"{item}.json").read_text())
    with torch.device("meta"):
        unet = TemporalUNet(msta=item == "diffvsr_unet")
    dropped = [key for key in schema if not rename(key, RULES[item])]
    layers = 33 if item == "diffvsr_unet" else 17
    assert len(dropped) == layers
    assert all(key.endswith("rotary_emb.freqs") and schema[key] == [16] for key in dropped)
    found = rename_all(schema, RULES[item])
    assert len(found) + len(dropped) == len(schema)
    wrong = compare(found, {name: tensor.shape for name, tensor in unet.state_dict().items()})
    assert not wrong, wrong.sentence()


def test_parameters_by_kind_at_full_size() -> None:
    """Numbers of Upscale-A-Video's released network, counted by the tensors in its file."""
    with torch.device("meta"):
        unet = TemporalUNet()
    sizes = {name: parameter.numel() for name, parameter in unet.named_parameters()}
    counts = {kind: sum(sizes[name] for name in names) for kind, names in unet_kinds(unet).items()}
    assert counts == {
        "spatial": 473_398_020,
        "temporal_resnet": 53_544_960,
        "temporal_attention": 35_689_728 - FROZEN,
        "temporal_module": 128_403_968,
        "multi_scale": 0,
    }
    assert sum(count for kind, count in counts.items() if kind != "spatial") == 217_638_656 - FROZEN


@pytest.mark.parametrize("name", ["down_temp_blocks.0.resblocks_3d_temporal.conv1.weight", "conv_in.bias"])
def test_names_of_one_official_file_are_not_taken_for_those_of_another(name: str) -> None:
    rules: tuple[Rules, Rules] = (unet_keys.UAV_UNET_KEYS, unet_keys.LAVIE_UNET_KEYS)
    uav, lavie = (rename(name, one) for one in rules)
    assert uav == name.replace("down_temp_blocks", "down_temporal").replace("resblocks_3d_temporal", "temporal")
    assert (uav == lavie) == (name == "conv_in.bias")
