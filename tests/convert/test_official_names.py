"""Rename tables and their opposites: every tensor of the real networks, there and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from limpid.checkpoints.renames import compare, rename, rename_all
from limpid.convert import contents as recipes
from limpid.convert.contents import NetworkPart
from limpid.convert.flow_files import convert_flow, random_flow
from limpid.convert.official_names import frequencies
from limpid.networks.by_name import make_official, shapes_of
from limpid.types import WeightsError

PARTS = {
    "uav_unet": recipes.UAV_UNET_PART,
    "uav_vae_3d": recipes.UAV_VAE_PART,
    "uav_vae_video": recipes.UAV_VIDEO_VAE_PART,
    "diffvsr_unet": recipes.DIFFVSR_UNET_PART,
    "diffvsr_vae": recipes.DIFFVSR_VAE_PART,
    "lavie_unet": recipes.LAVIE_UNET_PART,
    "mgld_unet": recipes.MGLD_VSR_UNET_PART,
    "mgld_vae": recipes.MGLD_VSR_VAE_PART,
    "sd_unet": recipes.SD_X4_UNET_PART,
    "sd_vae": recipes.SD_X4_VAE_PART,
}


@pytest.fixture(scope="module")
def shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """Of every tensor in our networks of the real sizes, without numbers."""
    made = ((name, make_official(p.kind, p.default_config, temporal=p.temporal)) for name, p in PARTS.items())
    return {name: shapes_of(network) for name, network in made}


@pytest.mark.parametrize(("name", "part"), PARTS.items(), ids=list(PARTS))
def test_there_and_back(name: str, part: NetworkPart, shapes: dict[str, dict[str, tuple[int, ...]]]) -> None:
    for key in shapes[name]:
        assert rename(rename(key, part.names), part.rules) == key


@pytest.mark.parametrize("name", [name for name in PARTS if not name.startswith(("sd_", "mgld_"))])
def test_the_names_are_those_of_the_makers(name: str, shapes: dict[str, dict[str, tuple[int, ...]]]) -> None:
    path = Path(__file__).resolve().parents[2].parent / "shared" / "golden" / "schemas" / f"{name}.json"
    if not path.is_file():
        pytest.skip("the golden tensors are not here")
    theirs = {key: tuple(shape) for key, shape in json.loads(path.read_text()).items()}
    ours = rename_all(shapes[name], PARTS[name].names)
    ours |= dict.fromkeys(frequencies(ours), (16,))
    assert not compare(ours, theirs), compare(ours, theirs).sentence()


@pytest.mark.parametrize("name", ["sd_unet", "sd_vae"])
def test_the_image_model_is_that_of_diffusers(name: str, shapes: dict[str, dict[str, tuple[int, ...]]]) -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    kind = UNet2DConditionModel if name == "sd_unet" else AutoencoderKL
    with torch.device("meta"):
        theirs = shapes_of(kind.from_config(dict(PARTS[name].default_config)))
    ours = rename_all(shapes[name], PARTS[name].names)
    assert not compare(ours, theirs), compare(ours, theirs).sentence()


@pytest.mark.parametrize("name", ["raft-things.pth", "raft_large_C_T_V1-22a6c225.pth"])
def test_optical_flow_there_and_back(name: str) -> None:
    made = random_flow(name, lambda _, shape: torch.ones(shape))
    tensors, config = convert_flow(made, Path(name))
    assert config["size"] == "large"
    first = "module.fnet.conv1.weight" if "things" in name else "feature_encoder.convnormrelu.0.weight"
    assert next(iter(made)) == first and "features.stem.weight" in tensors
    assert any(".norm3." in key for key in made) == ("things" in name)


@pytest.mark.parametrize("name", recipes.CONTENTS["spynet"].flow)
def test_spynet_there_and_back(name: str) -> None:
    made = random_flow(name, lambda _, shape: torch.ones(shape))
    found = made.get("params", made)
    layout = "basic_module.5.basic_module.4.conv.bias" if "2021" in name else "basic_module.5.basic_module.8.bias"
    assert layout in found and ("params" in made) == ("sintel" in name)
    tensors, config = convert_flow(found, Path(name))
    assert config == {"_class_name": "SpyNet"} and "levels.5.4.bias" in tensors
    with pytest.raises(WeightsError, match=r"does not fit SpyNet: 1 missing"):
        convert_flow({key: tensor for key, tensor in found.items() if key != layout}, Path(name))
