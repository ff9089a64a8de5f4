"""The autoencoder of MGLD-VSR: the official module's numbers and names; diffusers' autoencoder where it is at rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limpid.checkpoints.renames import compare, rename_all
from limpid.convert.vae_keys import MGLD_VSR_VAE_KEYS, SD_X4_VAE_KEYS
from limpid.networks.autoencoder import CFWVAE, bands

WIDTHS = (32, 32, 32, 64)
TOLERANCE = 1e-4


@pytest.fixture
def official(golden: Any) -> tuple[CFWVAE, Callable[[str], Tensor]]:
    """Our network with the official module's weights, and its inputs and outputs by name."""
    item = golden("mgld_vae")
    vae = CFWVAE(block_out_channels=WIDTHS, layers_per_block=1).eval()
    vae.load_state_dict(rename_all(item.weights, MGLD_VSR_VAE_KEYS))
    return vae, lambda name: item.cases[f"case0/{name}"]


@pytest.mark.parametrize("way", ["whole", "bands", "autograd"])
def test_official_numbers(official: Any, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "bands":
        monkeypatch.setitem(bands.BAND_BYTES, "cpu", 1)
    vae, case = official
    with torch.set_grad_enabled(way == "autograd"):
        found = dict(zip(("mean", "logvar"), vae.encode(case("in/image"), 5), strict=True))
        features = vae.features(case("in/image"))
        found |= {f"enc_fea_{i}": value for i, value in enumerate(features)}
        for weight in (1.0, 0.5, 0.0):
            found[f"image_w{weight}"] = vae.decode(case("in/z"), 5, features, weight)
    for name, value in found.items():
        assert (value - case(f"out/{name}")).abs().max() < TOLERANCE, name


def test_real_size_names_map_one_to_one(golden_folder: Path) -> None:
    schema = {}
    for part in ("encoder", "decoder"):
        shapes = json.loads((golden_folder / "schemas" / f"mgld_vae_{part}.json").read_text())
        schema |= {f"{part}.{key}": shape for key, shape in shapes.items()}
    quant = {"quant_conv": (8, 8), "post_quant_conv": (4, 4)}
    schema |= {f"{name}.weight": [*shape, 1, 1] for name, shape in quant.items()}
    schema |= {f"{name}.bias": [shape[0]] for name, shape in quant.items()}
    schema["loss.perceptual_loss.lin0.weight"] = [1]
    with torch.device("meta"):
        vae = CFWVAE()
    wrong = compare(
        rename_all(schema, MGLD_VSR_VAE_KEYS), {key: value.shape for key, value in vae.state_dict().items()}
    )
    assert not wrong, wrong.sentence()


@pytest.fixture
def resting(randomized: Callable[[nn.Module], nn.Module]) -> tuple[CFWVAE, Any]:
    """Our network as made anew but for the weights of diffusers' image autoencoder, and that one."""
    from diffusers import AutoencoderKL

    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    twin = randomized(AutoencoderKL(block_out_channels=WIDTHS, layers_per_block=1, latent_channels=4, **kinds))
    vae = CFWVAE(block_out_channels=WIDTHS, layers_per_block=1).eval()
    wanted = vae.state_dict()
    state = rename_all(twin.state_dict(), SD_X4_VAE_KEYS)
    missing = vae.load_state_dict({k: v.reshape(wanted[k].shape) for k, v in state.items()}, strict=False)
    assert not missing.unexpected_keys
    assert all(".mixing." in key or key.startswith("fusion.") for key in missing.missing_keys)
    return vae, twin


def test_at_rest_it_is_the_image_autoencoder(resting: Any) -> None:
    vae, twin = resting
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(3, 3, 40, 48, generator=generator)
    z = torch.randn(3, 4, 5, 6, generator=generator)
    with torch.no_grad():
        mean, logvar = vae.encode(frames, 3)
        posterior = twin.encode(frames).latent_dist
        assert (mean - posterior.mean).abs().max() < 1e-5
        assert (logvar - posterior.logvar).abs().max() < 1e-5
        assert (vae.decode(z, 3, weight=0.0) - twin.decode(z).sample).abs().max() < 1e-5


def test_every_number_of_frames_and_features_left_alone(official: Any) -> None:
    vae, case = official
    z, frames = case("in/z"), case("in/image")
    with torch.no_grad():
        features = vae.features(frames)
        kept = [seen.clone() for seen in features]
        whole = vae.decode(z, 5, features, 1.0)
        assert all(torch.equal(a, b) for a, b in zip(features, kept, strict=True))
        single = vae.decode(z[:1], 1, tuple(seen[:1] for seen in features), 1.0)
        assert single.shape == (1, 3, 40, 48)
        assert (single - whole[:1]).abs().max() > 1e-3, "a frame should depend on its neighbours"
        pair = vae.decode(torch.cat([z, z.flip(0)]), 5, tuple(torch.cat([s, s.flip(0)]) for s in features), 1.0)
    assert (pair[:5] - whole).abs().max() < 1e-5


def test_what_does_not_fit_is_refused(official: Any) -> None:
    vae, case = official
    with pytest.raises(ValueError, match="give features, or weight 0"):
        vae.decode(case("in/z"), 5)
    with torch.no_grad(), pytest.raises(ValueError, match="the features must be"):
        vae.decode(case("in/z"), 5, vae.features(case("in/image")[:, :, :32]), 1.0)
    with pytest.raises(ValueError, match="multiples of 8"):
        vae.features(case("in/image")[:, :, :20])
    with pytest.raises(ValueError, match="too few"):
        CFWVAE(block_out_channels=(32, 32))


def test_training_reaches_all_new_parts(official: Any) -> None:
    vae, case = official
    vae.decode(case("in/z"), 5, vae.features(case("in/image")), 1.0).square().mean().backward()
    new = [p for name, p in vae.named_parameters() if "mixing" in name or name.startswith("fusion.")]
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in new)
