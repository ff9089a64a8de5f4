"""The light decoder: what it begins as, how far it looks, layouts, sizes, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.networks.autoencoder import CFWVAE, LightVAE, UpscalerVAE

WIDTHS = {4: (32, 32, 32), 8: (32, 32, 32, 32)}
SMALL: dict[str, Any] = {"layers_per_block": 1, "width": 16, "blocks": 3, "shifts": (0, 2)}


def light(factor: int = 4, *, trained: bool = True, **config: Any) -> LightVAE:
    torch.manual_seed(0)
    vae = LightVAE(**{"block_out_channels": WIDTHS[factor], **SMALL, **config})
    if trained:
        nn.init.normal_(vae.decoder.conv_out.weight, std=0.1)
    return vae.eval()


def inputs(frames: int, factor: int = 4, height: int = 5, width: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    r = factor // 4
    z = 12 * torch.randn(frames, 4, height, width, generator=generator)
    return z, torch.rand(frames, 3, r * height, r * width, generator=generator) * 2 - 1


@pytest.mark.parametrize("factor", [4, 8])
@pytest.mark.parametrize("size", [(5, 7), (1, 1), (3, 2)])
@torch.no_grad()
def test_made_anew_it_is_bicubic_upscaling(factor: int, size: tuple[int, int]) -> None:
    z, lr = inputs(2, factor, *size)
    made = light(factor, trained=False).decode(z, 2, lr)
    assert torch.equal(made, F.interpolate(lr, scale_factor=4, mode="bicubic", align_corners=False))
    assert made.shape[-2:] == tuple(factor * edge for edge in size)
    assert not torch.equal(light(factor).decode(z, 2, lr), made)


@pytest.mark.parametrize("factor", [4, 8])
@torch.no_grad()
def test_latents_and_input_matter_where_they_are(factor: int) -> None:
    """Every output pixel lies over its own latent pixel: a change far away changes nothing."""
    vae, (z, lr) = light(factor, shifts=()), inputs(1, factor, 4, 24)
    reach, before = 2 * 3 + 2, vae.decode(z, 1, lr)
    z[..., 0] += 5
    lr[..., : factor // 4] += 0.5
    change = (vae.decode(z, 1, lr) - before).abs().amax(dim=(0, 1, 2))
    assert change[:factor].min() > 0
    assert change[(reach + 1) * factor :].max() < 1e-5


@torch.no_grad()
def test_it_looks_exactly_as_far_in_time_as_it_says() -> None:
    vae, (z, lr) = light(), inputs(9)
    assert vae.reach_frames == 2
    before = vae.decode(z, 9, lr)
    z[4] += 5
    changed = [not torch.equal(a, b) for a, b in zip(vae.decode(z, 9, lr), before, strict=True)]
    assert changed == [abs(frame - 4) <= 2 for frame in range(9)]


@torch.no_grad()
def test_frames_beyond_the_reach_may_be_missing_and_clips_know_nothing_of_each_other() -> None:
    vae, (z, lr) = light(), inputs(8)
    whole = vae.decode(z, 8, lr)
    assert torch.allclose(vae.decode(z[1:6], 5, lr[1:6])[2], whole[3], atol=1e-5)
    two = vae.decode(z, 4, lr)
    assert torch.allclose(two[:4], vae.decode(z[:4], 4, lr[:4]), atol=1e-5)
    assert (two - whole).abs().max() > 1e-3
    still = vae.decode(z[:1].repeat(3, 1, 1, 1), 3, lr[:1].repeat(3, 1, 1, 1))
    assert torch.allclose(still, vae.decode(z[:1], 1, lr[:1]).expand_as(still), atol=1e-5)


def test_every_convolution_of_the_decoder_works_in_channels_last() -> None:
    vae, (z, lr), seen = light(), inputs(3), []

    def look(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.append(given[0].is_contiguous(memory_format=torch.channels_last))

    for layer in vae.decoder.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_pre_hook(look)
    with torch.no_grad():
        vae.to(memory_format=torch.channels_last).decode(z, 3, lr)
    assert len(seen) == 2 + 2 * 3 + 1 and all(seen)


@pytest.mark.parametrize("factor", [4, 8])
def test_the_encoder_is_that_of_the_full_one(factor: int) -> None:
    """Its names and numbers; at eight pixels a latent pixel that of MGLD-VSR, whose attention is stored otherwise."""
    torch.manual_seed(3)
    kind: Any = UpscalerVAE if factor == 4 else CFWVAE
    full, vae = kind(block_out_channels=WIDTHS[factor], layers_per_block=1), light(factor)
    wanted = vae.state_dict()
    state = {
        name: tensor.reshape(wanted[name].shape)
        for name, tensor in full.state_dict().items()
        if name.startswith(("encoder.", "quant_conv."))
    }
    assert {name for name in wanted if not name.startswith("decoder.")} == set(state)
    vae.load_state_dict(state, strict=False)
    frames = torch.rand(2, 3, 16, 24) * 2 - 1
    with torch.no_grad():
        pairs = zip(vae.encode(frames, 2), full.encode(frames, 2), strict=True)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


def test_files_give_the_same_network(tmp_path: Path) -> None:
    vae, (z, lr) = light(), inputs(3)
    vae.save_pretrained(tmp_path)
    again = LightVAE.from_pretrained(tmp_path, local_files_only=True)
    assert tuple(again.config.shifts) == (0, 2)
    with torch.no_grad():
        assert torch.equal(again.decode(z, 3, lr), vae.decode(z, 3, lr))


@torch.no_grad()
def test_number_formats() -> None:
    """What is drawn on top may be rounded; the LR frames come through as they are."""
    z, lr = inputs(2)
    rest = light(trained=False).to(torch.bfloat16)
    assert torch.equal(rest.decode(z.bfloat16(), 2, lr), light(trained=False).decode(z, 2, lr))
    low = light().to(torch.bfloat16).decode(z.bfloat16(), 2, lr)
    assert (low - light().decode(z, 2, lr)).abs().max() < 0.05


def test_size_of_the_decoder() -> None:
    with torch.device("meta"):
        vae = LightVAE()
    assert sum(p.numel() for p in vae.decoder.parameters()) == 1_376_400


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scale": 3}, "no multiple of scale 3"),
        ({"shifts": (3,)}, "cannot mix time"),
        ({"shifts": (1, 1)}, "cannot mix time"),
        ({"width": 8}, "too few to mix time"),
    ],
)
def test_shapes_that_cannot_be_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        light(**changes)


def test_decoding_without_the_input_is_refused() -> None:
    vae, (z, lr) = light(8), inputs(2, 8)
    for given, weight, says in ((None, 1.0, "give lr"), (lr, 0.5, "lr_weight is 0.5"), (z, 1.0, "2 times the size")):
        with pytest.raises(ValueError, match=says):
            vae.decode(z, 2, given, weight)
