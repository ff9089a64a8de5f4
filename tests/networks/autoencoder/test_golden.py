"""The networks against the official modules: same weights by their official names, same numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import limpid.networks.autoencoder as autoencoders
from limpid.checkpoints.renames import compare, rename_all
from limpid.convert.vae_keys import DIFFVSR_VAE_KEYS, UAV_VAE_3D_KEYS, UAV_VAE_VIDEO_KEYS
from limpid.networks.autoencoder import bands, official_vae_config
from limpid.networks.autoencoder.interface import split_moments

RULES = {"uav_vae_3d": UAV_VAE_3D_KEYS, "uav_vae_video": UAV_VAE_VIDEO_KEYS, "diffvsr_vae": DIFFVSR_VAE_KEYS}
TOLERANCE = 5e-5


def build(item: Any, name: str) -> Any:
    kind, config = official_vae_config(item.meta["config"])
    vae = getattr(autoencoders, kind)(**config)
    vae.load_state_dict(rename_all(item.weights, RULES[name]))
    return vae.eval()


def run(vae: Any, item: Any, case: dict[str, Any], fold: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """What our network gives for a case, by the names of the expected outputs."""
    given = {k.split("/in/")[1]: v for k, v in item.cases.items() if k.startswith(f"case{case['case']}/in/")}
    frames = case.get("T") or next(iter(given.values())).shape[2]
    given = {key: fold(value) for key, value in given.items()}
    if case["op"] == "decode":
        return {"image": vae.decode(given["z"], frames, given.get("lr"), case.get("w_lr", 1.0))}
    mean, logvar = vae.encode(given["image"], frames)
    moments = vae.quant_conv(vae.encoder(given["image"].contiguous(memory_format=torch.channels_last), frames))
    assert torch.equal(split_moments(moments)[0], mean)
    return {"mean": mean, "logvar": logvar, "moments": moments}


@pytest.mark.parametrize("way", ["whole", "bands", "autograd"])
@pytest.mark.parametrize("name", RULES)
def test_every_case(
    name: str, way: str, golden: Any, fold: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "bands":
        monkeypatch.setitem(bands.BAND_BYTES, "cpu", 1)
    item = golden(name)
    vae = build(item, name)
    seen = 0
    for case in item.meta["cases"]:
        with torch.set_grad_enabled(way == "autograd"):
            found = run(vae, item, case, fold)
        for output, value in found.items():
            wanted = item.cases.get(f"case{case['case']}/out/{output}")
            if wanted is not None:
                assert (value - fold(wanted)).abs().max() < TOLERANCE, (case, output)
                seen += 1
    assert seen == sum("/out/" in key for key in item.cases)


@pytest.mark.parametrize("name", RULES)
def test_real_size_names_map_one_to_one(name: str, golden: Any, golden_folder: Path) -> None:
    schema = json.loads((golden_folder / "schemas" / f"{name}.json").read_text())
    values = {**golden(name).meta["config"], "block_out_channels": [128, 256, 512]}
    if "condition_channels" in values:
        values["condition_channels"] = 128
    kind, config = official_vae_config(values)
    with torch.device("meta"):
        vae = getattr(autoencoders, kind)(**config)
    wrong = compare(rename_all(schema, RULES[name]), {key: value.shape for key, value in vae.state_dict().items()})
    assert not wrong, wrong.sentence()


def test_a_frame_depends_on_those_it_is_decoded_with(golden: Any, fold: Callable[[Tensor], Tensor]) -> None:
    item = golden("uav_vae_3d")
    vae = build(item, "uav_vae_3d")
    z = fold(item.cases["case1/in/z"])
    with torch.no_grad():
        assert (vae.decode(z, 3)[:1] - vae.decode(z[:1], 1)).abs().max() > 1e-3
