"""With everything new at rest, the networks are diffusers' image autoencoder; conversion from its folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from limpid.convert.contents import SD_X4_VAE_PART
from limpid.convert.convert import fitted
from limpid.networks.autoencoder import TemporalVAE, UpscalerVAE, official_vae_config
from limpid.networks.by_name import WEIGHTS_FILE, make_official
from limpid.train.starts.autoencoder import AutoencoderChoice, start_autoencoder
from limpid.types import WeightsError

VIDEO = {"temporal_decoder": True, "lr_condition": True, "lr_channels": 32}
CONFIGS = {
    "image": {"norm_scope": "frame"},
    "video": {**VIDEO, "norm_scope": "frame"},
    "pooled": {**VIDEO, "norm_scope": "window"},
}


def converted(source: Path, target: Path) -> Path:
    """A folder of weights whose ``vae`` is the autoencoder in ``source``, as diffusers saves it, under our names."""
    network = make_official("vae", json.loads((source / "config.json").read_text()))
    tensors = fitted(load_file(source / WEIGHTS_FILE), network, SD_X4_VAE_PART, source)
    network.save_config(target / "vae")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, target / "vae" / WEIGHTS_FILE)
    return target


def started(folder: Path, name: str = "image") -> Any:
    """The autoencoder that training begins with in a folder of converted weights."""
    choice = AutoencoderChoice(kind="UpscalerVAE", folder="vae", options=CONFIGS[name])
    return start_autoencoder(choice, folder).eval()


@pytest.fixture
def weights(twin_folder: Path, tmp_path: Path) -> Path:
    return converted(twin_folder, tmp_path / "weights")


def frames(count: int) -> torch.Tensor:
    """Sizes that make a latent of 5x7."""
    return torch.randn(count, 3, 20, 28, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)


def latents(count: int) -> torch.Tensor:
    return torch.randn(count, 4, 5, 7, generator=torch.Generator().manual_seed(2))


def assert_equal(vae: Any, twin: Any, hr: torch.Tensor, z: torch.Tensor) -> None:
    count = len(hr)
    with torch.no_grad():
        mean, logvar = vae.encode(hr, count)
        posterior = twin.encode(hr).latent_dist
        assert (mean - posterior.mean).abs().max() < 1e-5
        assert (logvar - posterior.logvar).abs().max() < 1e-5
        lr = torch.rand(count, 3, 5, 7)
        assert (vae.decode(z, count, lr, 0.0) - twin.decode(z).sample).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["image", "video"])
def test_any_frames_when_norms_are_per_frame(name: str, twin: Any, weights: Path) -> None:
    assert_equal(started(weights, name), twin, frames(3), latents(3))


def test_one_frame_and_equal_frames_when_norms_are_pooled(twin: Any, weights: Path) -> None:
    vae = started(weights, "pooled")
    assert_equal(vae, twin, frames(1), latents(1))
    assert_equal(vae, twin, frames(1).expand(3, -1, -1, -1), latents(1).expand(3, -1, -1, -1))
    with torch.no_grad():
        assert (vae.decode(latents(3), 3, lr_weight=0) - twin.decode(latents(3)).sample).abs().max() > 1e-3


def test_older_names_of_the_attention(twin: Any, twin_folder: Path, tmp_path: Path) -> None:
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = load_file(twin_folder / "diffusion_pytorch_model.safetensors")
    for new, old in older.items():
        state = {key.replace(f"attentions.0.{new}.", f"attentions.0.{old}."): value for key, value in state.items()}
    assert not any(".to_q." in key for key in state)
    save_file(state, tmp_path / "diffusion_pytorch_model.safetensors")
    shutil.copy(twin_folder / "config.json", tmp_path)
    assert_equal(started(converted(tmp_path, tmp_path / "weights")), twin, frames(2), latents(2))


def test_conversion_keeps_the_configuration(weights: Path) -> None:
    config = UpscalerVAE.from_config(UpscalerVAE.load_config(weights / "vae")).config
    assert config.scaling_factor == 0.08333
    assert tuple(config.block_out_channels) == (32, 32, 64)
    assert (config.temporal_decoder, config.lr_condition, config.norm_scope) == (False, False, "frame")


def test_conversion_refuses_what_does_not_fit(twin_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"does not fit the network: 1 .*conv_in"):
        shutil.copy(twin_folder / "config.json", tmp_path)
        state = load_file(twin_folder / "diffusion_pytorch_model.safetensors")
        del state["encoder.conv_in.bias"]
        save_file(state, tmp_path / "diffusion_pytorch_model.safetensors")
        converted(tmp_path, tmp_path / "weights")
    values = json.loads((twin_folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, "up_block_types": ["AttnUpDecoderBlock2D"] * 3}))
    with pytest.raises(WeightsError, match="not known"):
        converted(tmp_path, tmp_path / "weights")


def test_official_configurations() -> None:
    base = {"block_out_channels": [128, 256, 512], "layers_per_block": 2, "latent_channels": 4, "norm_num_groups": 32}
    plain = official_vae_config({**base, "up_block_types": ["UpDecoderBlock3D"] * 3, "scaling_factor": 0.08333})
    assert plain[0] == "UpscalerVAE"
    assert not plain[1]["temporal_decoder"]
    assert plain[1]["norm_scope"] == "window"
    video = official_vae_config(
        {**base, "up_block_types": ["UpDecoderBlock3D_plus"] * 3, "condition_img": True, "condition_channels": 128}
    )
    assert video[1]["temporal_decoder"]
    assert video[1]["lr_condition"]
    assert video[1]["lr_channels"] == 128
    mixed = official_vae_config({"_class_name": "AutoencoderKLTemporalDecoder", **base, "force_upcast": True})
    assert mixed[0] == "TemporalVAE"
    UpscalerVAE(**{**video[1], "block_out_channels": (32,), "lr_channels": 32})
    TemporalVAE(**{**mixed[1], "block_out_channels": (32,)})
