"""Stream-DiffVSR's autoencoder: the official numbers, names and sizes; a new one; small pictures; gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from limpid.checkpoints.renames import compare
from limpid.networks.autoencoder import PreviousFrameVAE, official_vae_config
from limpid.networks.by_name import make_official, shapes_of

TOLERANCE = 2e-5


def small_vae(width: int = 16) -> PreviousFrameVAE:
    torch.manual_seed(0)
    vae = PreviousFrameVAE(width=width)
    for name, parameter in vae.named_parameters():
        if "temporal_processor.2" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return vae.eval()


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize("case", [0, 1, 2])
def test_equals_the_official_module(case: int, golden: Any) -> None:
    item = golden("streamdiffvsr_vae")
    name, config = official_vae_config(item.meta["config"])
    assert name == "PreviousFrameVAE"
    vae = PreviousFrameVAE(**config)
    vae.load_state_dict(item.weights)
    z, previous = (item.cases[f"case{case}/in/{name}"] for name in ("z", "previous_warped"))
    wanted = {k.split("/out/")[1]: v for k, v in item.cases.items() if k.startswith(f"case{case}/out/")}
    features = vae.encoder.features(previous)
    assert [list(f.shape) for f in features] == item.meta["cases"][case]["feature_shapes"]
    for key in (key for key in wanted if key.startswith("encoder_features_")):
        close(features[int(key[-1])], wanted[key])
    close(vae.decode(z), wanted["image_without_previous"])
    close(vae.decode(z, previous=previous), wanted["image_with_previous"])
    close(vae.encode(previous)[0], wanted["latents_of_previous"])


def test_real_sizes_fit_one_to_one(golden: Any, golden_folder: Path) -> None:
    schema = json.loads((golden_folder / "schemas" / "streamdiffvsr_vae.json").read_text())
    widths = {f"{way}_block_out_channels": [64] * 3 for way in ("encoder", "decoder")}
    vae = make_official("vae", {**golden("streamdiffvsr_vae").meta["config"], **widths})
    wrong = compare({name: row["shape"] for name, row in schema.items()}, shapes_of(vae))
    assert not wrong, wrong.sentence()
    assert sum(parameter.numel() for parameter in vae.parameters()) == 2_052_501


@torch.no_grad()
def test_a_new_one_does_not_look_at_the_frame_before() -> None:
    vae, z = PreviousFrameVAE(width=8), torch.randn(1, 4, 8, 8)
    assert torch.equal(vae.decode(z, previous=torch.rand(1, 3, 32, 32)), vae.decode(z))


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(1, 9), (3, 3), (5, 7)])
def test_pictures_smaller_than_a_place_of_the_processor(height: int, width: int) -> None:
    vae, z = small_vae(), torch.randn(1, 4, height, width)
    out = vae.decode(z, previous=torch.randn(1, 3, 4 * height, 4 * width))
    assert out.shape == (1, 3, 4 * height, 4 * width)
    assert bool(out.isfinite().all())


def test_gradients_reach_processors_of_the_decoder_only() -> None:
    vae = small_vae()
    vae.decode(torch.randn(1, 4, 16, 16), previous=torch.randn(1, 3, 64, 64)).square().mean().backward()
    got = {name for name, p in vae.named_parameters() if "temporal_processor" in name and p.grad is not None}
    assert got == {name for name, _ in vae.named_parameters() if name.startswith("decoder") and "processor" in name}


@pytest.mark.parametrize(
    ("change", "said"),
    [({"act_fn": "silu"}, "act_fn"), ({"decoder_block_out_channels": [8, 16, 16]}, "one width")],
)
def test_an_autoencoder_of_another_kind_is_refused(change: dict[str, Any], said: str) -> None:
    config = {
        "encoder_block_out_channels": [16] * 3,
        "decoder_block_out_channels": [16] * 3,
        "num_encoder_blocks": [1, 3, 3],
        "num_decoder_blocks": [3, 3, 1],
    }
    with pytest.raises(Exception, match=said):
        make_official("vae", {**config, **change})
