"""Weights of DC-VSR: the makers' folders become one that loads, and the prior has what the folder says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from limpid.checkpoints.folders import installed, read_card
from limpid.convert.convert import convert_weights
from limpid.convert.dc_vsr_configs import SVD_UNET_CONFIG
from limpid.convert.random_weights import make_random_weights
from limpid.convert.verify import verify_weights
from limpid.networks.by_name import make_official, shapes_of
from limpid.priors.dc_vsr import SVDConditioning
from limpid.priors.load.dc_vsr import DCVSRFiles, load_dc_vsr
from limpid.types import Placement, Scene, WeightsError

CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_random_weights("dc-vsr", "tiny", tmp_path_factory.mktemp("official") / "dc-vsr")


@pytest.fixture(scope="module")
def folder(official: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert_weights("dc-vsr", official, tmp_path_factory.mktemp("weights") / "dc-vsr")


def test_convert_and_verify(official: Path, folder: Path) -> None:
    assert installed("dc-vsr", folder) == folder and verify_weights(folder) == []
    card = read_card(folder)
    assert card.random and not card.notes and "unet_ema/diffusion_pytorch_model.safetensors" in card.sources
    assert sorted(path.name for path in folder.iterdir()) == [
        "image_encoder",
        "limpid.json",
        "model_index.json",
        "unet",
        "vae",
    ]
    theirs = load_file(official / "unet_ema" / "diffusion_pytorch_model.safetensors")
    ours = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert theirs.keys() == ours.keys() and torch.equal(theirs["conv_in.weight"], ours["conv_in.weight"])
    (folder.parent / "damaged").mkdir()
    broken = Path(shutil.copytree(folder / "unet", folder.parent / "damaged" / "unet"))
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "in_channels": 9}))
    from limpid.convert.verify import misfits

    assert "conv_in.weight" in misfits(broken)[0]


def test_autoencoder_and_image_encoder_may_lie_in_the_folder_of_svd(official: Path, tmp_path: Path) -> None:
    source, base = tmp_path / "dc-vsr", tmp_path / "svd"
    shutil.copytree(official / "unet_ema", source / "unet_ema")
    with pytest.raises(WeightsError, match="vae/diffusion_pytorch_model"):
        convert_weights("dc-vsr", source, tmp_path / "out")
    shutil.copytree(official / "vae", base / "vae")
    notes: list[str] = []
    out = convert_weights("dc-vsr", source, tmp_path / "out", base=base, on_note=notes.append)
    assert verify_weights(out) == [] and "image_embedding clip cannot be chosen" in notes[0]
    told = SVDConditioning(image_embedding="clip")
    with pytest.raises(WeightsError, match=r"image_encoder.*leave out image_embedding clip"):
        DCVSRFiles(folder=out, conditioning=told).parameter_bytes()


def test_an_image_encoder_that_does_not_fit_is_refused(official: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(official, tmp_path / "source"))
    path = source / "image_encoder" / "model.safetensors"
    tensors = load_file(path)
    tensors.pop(next(iter(tensors)))
    path.unlink()
    save_file(tensors, path)
    with pytest.raises(WeightsError, match="does not fit its config"):
        convert_weights("dc-vsr", source, tmp_path / "out")


@pytest.mark.parametrize("embedding", ["zero", "clip"])
@torch.no_grad()
def test_a_prior_with_what_is_needed(folder: Path, embedding: Any) -> None:
    files = DCVSRFiles(folder=folder, conditioning=SVDConditioning(image_embedding=embedding))
    assert set(files.parameter_bytes()) == {"unet", "vae", *(["image_encoder"] if embedding == "clip" else [])}
    prior = load_dc_vsr(files, CPU)
    condition = prior.condition(torch.rand(2, 3, 16, 32), Scene(seed=0, frames=range(2), shot=0))
    assert condition.embedding.shape == (1, 2, 32) and bool(condition.embedding.any()) == (embedding == "clip")
    assert prior.latent_scale == 0.18215 and len(prior.self_attentions) == 10
    assert prior.decode(torch.randn(1, 4, 2, 8, 16), condition).shape == (2, 3, 64, 128)


def test_a_denoiser_for_other_inputs_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    config = json.loads((copy / "unet" / "config.json").read_text())
    (copy / "unet" / "config.json").write_text(json.dumps({**config, "in_channels": 4}))
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["conv_in.weight"] = tensors["conv_in.weight"][:, :4].contiguous()
    path.unlink()
    save_file(tensors, path)
    with pytest.raises(WeightsError, match="takes 4 channels"):
        load_dc_vsr(DCVSRFiles(folder=copy, conditioning=SVDConditioning()), CPU)


def test_full_size_has_the_names_and_shapes_of_the_schema(repository: Path) -> None:
    path = repository.parent / "shared" / "golden" / "schemas" / "svd_unet.json"
    if not path.is_file():
        pytest.skip("the schemas are not here")
    wanted = {name: tuple(shape) for name, shape in json.loads(path.read_text()).items()}
    assert shapes_of(make_official("svd_unet", SVD_UNET_CONFIG)) == wanted
