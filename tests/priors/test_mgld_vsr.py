"""The prior of MGLD-VSR with small random networks: sizes, crops, and what is held in memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from limpid.diffusion.schedules import vp_steps
from limpid.networks.autoencoder import CFWVAE
from limpid.networks.unet.mgld_vsr_unet import StructuredUNet
from limpid.priors import mgld_vsr as mgld
from limpid.priors.mgld_vsr import MGLDVSRPrior, enlarged, evened
from limpid.types import Scene, Tile, Window

UNET: dict[str, Any] = {
    "block_out_channels": (32, 32, 32, 32),
    "layers_per_block": 1,
    "head_channels": 32,
    "cross_attention_dim": 16,
    "structure_channels": 32,
    "structure_block_channels": (32, 32, 32, 32),
    "structure_layers_per_block": 1,
    "structure_heads": 1,
}


class Texts:
    def positive(self, shot: int) -> Tensor:
        return torch.full((1, 4, 16), 0.1 + shot)

    def negative(self) -> Tensor:
        return torch.zeros(1, 4, 16)


@pytest.fixture(scope="module")
def networks() -> Any:
    torch.manual_seed(0)
    unet = StructuredUNet(**UNET).eval()
    vae = CFWVAE(block_out_channels=(32, 32, 32, 32), layers_per_block=1).eval()
    return SimpleNamespace(use=lambda name: {"unet": unet, "vae": vae}[name], unet=unet, vae=vae)


@pytest.fixture
def prior(networks: Any) -> MGLDVSRPrior:
    return MGLDVSRPrior(networks=networks, prompts=Texts(), device=torch.device("cpu"), dtype=torch.float32)


def scene(frames: int) -> Scene:
    return Scene(seed=0, frames=range(frames), shot=0)


def frames_of(count: int, height: int, width: int) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


@given(top=st.integers(0, 9), left=st.integers(0, 11), height=st.integers(1, 10), width=st.integers(1, 12))
@settings(max_examples=40)
def test_a_part_is_cut_out_of_what_enlarging_the_whole_gives(top: int, left: int, height: int, width: int) -> None:
    lr = frames_of(2, 20, 24) * 2 - 1
    place = Tile(top=top, bottom=min(top + height, 10), left=left, right=min(left + width, 12))
    whole = F.interpolate(lr, scale_factor=4, mode="bicubic", align_corners=False).clamp(-1, 1)
    wanted = whole[..., 8 * place.top : 8 * place.bottom, 8 * place.left : 8 * place.right]
    torch.testing.assert_close(enlarged(lr, place), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(16, 24), (17, 24), (16, 23), (17, 21)])
@torch.no_grad()
def test_any_size_there_and_back(prior: MGLDVSRPrior, size: tuple[int, int]) -> None:
    height, width = size
    condition = prior.condition(frames_of(2, height, width), scene(2))
    latent = prior.latent_size(height, width)
    assert latent == (-(-height // 2), -(-width // 2))
    z = prior.encode(condition)
    assert z.shape == (1, 4, 2, *latent)
    out = prior.decode(z, condition)
    assert out.shape == (2, 3, 8 * latent[0], 8 * latent[1]) and 0 <= float(out.min()) <= float(out.max()) <= 1


def test_an_odd_edge_is_repeated() -> None:
    lr = frames_of(1, 5, 4)
    assert evened(lr).shape == (1, 3, 6, 4)
    assert torch.equal(evened(lr)[..., 5, :], lr[..., 4, :]) and evened(lr[..., :4, :]).shape[-2] == 4


@torch.no_grad()
def test_the_latent_is_the_scaled_mean_of_the_enlarged_frames(prior: MGLDVSRPrior, networks: Any) -> None:
    lr = frames_of(2, 16, 20)
    large = F.interpolate(lr * 2 - 1, scale_factor=4, mode="bicubic", align_corners=False).clamp(-1, 1)
    wanted = networks.vae.encode(large, 2)[0] * 0.18215
    found = prior.condition(lr, scene(2)).structure
    torch.testing.assert_close(found[0].transpose(0, 1), wanted, rtol=0, atol=1e-5)


@torch.no_grad()
def test_large_frames_are_encoded_in_tiles(prior: MGLDVSRPrior, networks: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(mgld, "_ENCODE_TILE", 8)
    monkeypatch.setattr(mgld, "_ENCODE_OVERLAP", 2)
    seen: list[tuple[int, ...]] = []
    plain = networks.vae.encode

    def watched(frames: Tensor) -> Any:
        seen.append(tuple(frames.shape))
        return plain(frames)

    monkeypatch.setattr(networks.vae, "encode", watched)
    condition = prior.condition(frames_of(1, 20, 32), scene(1))
    assert condition.structure.shape == (1, 4, 1, 10, 16)
    assert len(seen) == 6 and set(seen) == {(1, 3, 64, 64)}


@torch.no_grad()
def test_crops_of_crops_see_their_own_place(prior: MGLDVSRPrior) -> None:
    lr = frames_of(3, 24, 32)
    condition = prior.condition(lr, scene(3))
    part = condition.crop(Window(start=1, stop=3), Tile(top=2, bottom=10, left=4, right=16))
    part = part.crop(Window(start=1, stop=2), Tile(top=1, bottom=5, left=2, right=8))
    assert part.place == Tile(top=3, bottom=7, left=6, right=12)
    assert torch.equal(part.structure, condition.structure[:, :, 2:3, 3:7, 6:12])
    assert torch.equal(part.lr, lr[2:3] * 2 - 1)
    assert prior.decode(part.structure, part).shape == (1, 3, 32, 48)


@torch.no_grad()
def test_a_condition_holds_nothing_of_the_size_of_the_output(prior: MGLDVSRPrior) -> None:
    condition = prior.condition(frames_of(4, 32, 32), scene(4))
    held = sum(getattr(condition, name).numel() for name in ("lr", "structure"))
    assert held <= 2 * 4 * 3 * 32 * 32


@torch.no_grad()
def test_decoder_weight(prior: MGLDVSRPrior, networks: Any, monkeypatch: Any) -> None:
    from dataclasses import replace

    condition = prior.condition(frames_of(1, 16, 16), scene(1))
    z = torch.randn(1, 4, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    strong, none = (replace(prior, decoder_weight=w) for w in (1.0, 0.0))
    assert (strong.decode(z, condition) - prior.decode(z, condition)).abs().max() > 1e-3
    monkeypatch.setattr(networks.vae, "features", lambda *_: pytest.fail("features cost time for nothing"))
    none.decode(z, condition)


@torch.no_grad()
def test_predictions_are_of_the_noise_and_two_texts_fit_in_a_batch(prior: MGLDVSRPrior, networks: Any) -> None:
    condition = prior.condition(frames_of(2, 32, 48), scene(2))
    z = torch.randn(1, 4, 2, 16, 24, generator=torch.Generator().manual_seed(2))
    step = vp_steps(4, spacing="linspace")[1]
    found = prior.denoise(z, step, condition)
    out = networks.unet(z, step.t, structure=condition.structure, encoder_hidden_states=condition.prompt)
    assert torch.equal(found.eps, out)
    torch.testing.assert_close(step.alpha * found.x0 + step.sigma * found.eps, z, rtol=0, atol=1e-4)
    both = prior.denoise(torch.cat([z, z]), step, condition.both())
    torch.testing.assert_close(both.eps[1:], found.eps, rtol=0, atol=1e-4)
    other = prior.denoise(z, step, condition.unconditional())
    torch.testing.assert_close(both.eps[:1], other.eps, rtol=0, atol=1e-4)
    assert (other.eps - found.eps).abs().max() > 1e-4
