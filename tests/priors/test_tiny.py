"""The tiny prior: its arithmetic against slow twins, its field of view, its weight file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from limpid.priors.tiny import (
    TinyConfig,
    TinyNetwork,
    TinyPrior,
    bicubic_patches,
    from_latent,
    load_tiny,
    patch_basis,
    read_tiny_config,
    save_tiny,
    to_latent,
    wiener_prediction,
)
from limpid.types import Step, Tile, Window

SMALL = TinyConfig(channels=16, blocks=3, shifts=(0, 2))
STEP = Step(index=0, count=1, t=0.0, alpha=1.0, sigma=1.5, alpha_next=1.0, sigma_next=0.0)


@pytest.fixture(scope="module")
def prior() -> TinyPrior:
    torch.manual_seed(0)
    network = TinyNetwork(SMALL)
    return TinyPrior(network, device=torch.device("cpu"), dtype=torch.float32)


@pytest.mark.parametrize("size", [(16, 16), (18, 30)])
def test_bicubic_equals_interpolate(size: tuple[int, int]) -> None:
    lr = torch.rand(2, 3, *size)
    fast = F.pixel_shuffle(bicubic_patches(lr, 4, 2), 8)
    torch.testing.assert_close(fast, F.interpolate(lr, scale_factor=4, mode="bicubic"), atol=2e-6, rtol=0)


def test_identical_frames_are_treated_as_a_picture(prior: TinyPrior) -> None:
    """With every neighbour equal to the frame itself, mixing time must change nothing."""
    lr, z = torch.rand(1, 3, 20, 24), torch.randn(1, prior.latent_channels, 1, 10, 12)
    single = prior.denoise(z, STEP, prior.condition(lr)).x0
    clip = prior.denoise(z.repeat(1, 1, 4, 1, 1), STEP, prior.condition(lr.repeat(4, 1, 1, 1))).x0
    torch.testing.assert_close(clip, single.repeat(1, 1, 4, 1, 1), atol=1e-6, rtol=0)


def test_prediction_is_consistent(prior: TinyPrior) -> None:
    z = torch.randn(1, prior.latent_channels, 3, 8, 9)
    prediction = prior.denoise(z, STEP, prior.condition(torch.rand(3, 3, 16, 18)))
    torch.testing.assert_close(prediction.x0 + STEP.sigma * prediction.eps, z, atol=1e-5, rtol=1e-5)


def test_little_noise_is_kept_and_much_noise_is_ignored(prior: TinyPrior) -> None:
    z, lr = torch.randn(2, prior.latent_channels, 8, 8), torch.randn(2, 12, 8, 8)
    clean = wiener_prediction(prior.network, z, torch.tensor([1e-4]), lr, 2)
    torch.testing.assert_close(clean, z, atol=2e-3, rtol=0)
    far = torch.tensor([20000.0])
    one = wiener_prediction(prior.network, z * far, far, lr, 2)
    other = wiener_prediction(prior.network, -z * far, far, lr, 2)
    torch.testing.assert_close(one, other, atol=5e-3, rtol=0)


def test_receptive_field_is_as_stated(prior: TinyPrior) -> None:
    """A change in one LR pixel reaches no further than radius_px and radius_frames, and does reach that far in time."""
    lr = torch.rand(9, 3, 64, 64)
    z = torch.randn(1, prior.latent_channels, 9, 32, 32)
    changed = lr.clone()
    changed[4, :, 32, 32] += 1.0
    difference = prior.denoise(z, STEP, prior.condition(changed)).x0 - prior.denoise(z, STEP, prior.condition(lr)).x0
    moved = difference[0].abs().amax(0) > 0
    frames = torch.where(moved.flatten(1).any(1))[0].tolist()
    assert frames == list(range(4 - SMALL.radius_frames, 4 + SMALL.radius_frames + 1))
    rows = torch.where(moved.any(0).any(1))[0] * 2
    assert rows.min() >= 32 - SMALL.radius_px - 1
    assert rows.max() <= 32 + SMALL.radius_px + 1


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (33, 18)])
def test_odd_sizes_are_padded_on_the_canvas(prior: TinyPrior, size: tuple[int, int]) -> None:
    h, w = size
    condition = prior.condition(torch.rand(2, 3, h, w))
    latent = prior.latent_size(h, w)
    assert prior.encode(condition).shape == (1, prior.latent_channels, 2, *latent)
    assert prior.decode(prior.encode(condition), condition).shape == (2, 3, latent[0] * 8, latent[1] * 8)


def test_basis_is_orthonormal_and_undone() -> None:
    basis = patch_basis(8)
    torch.testing.assert_close(basis @ basis.T, torch.eye(192), atol=1e-5, rtol=0)
    residual = torch.randn(2, 192, 3, 4)
    torch.testing.assert_close(from_latent(to_latent(residual, SMALL), SMALL), residual, atol=1e-5, rtol=0)


def test_first_coefficient_is_the_mean_of_the_patch() -> None:
    grey = torch.full((1, 192, 1, 1), 0.25)
    latent = to_latent(grey, SMALL)
    assert latent[0, 0, 0, 0] == pytest.approx(0.25 * 192**0.5 * SMALL.latent_scale, rel=1e-5)
    assert latent[0, 1:].abs().max() < 1e-4


def test_zero_latent_is_bicubic(prior: TinyPrior) -> None:
    lr = torch.rand(2, 3, 16, 20)
    condition = prior.condition(lr)
    out = prior.decode(prior.encode(condition), condition)
    torch.testing.assert_close(out, F.interpolate(lr, scale_factor=4, mode="bicubic"), atol=2e-6, rtol=0)


def test_condition_crop_is_the_part_under_the_tile(prior: TinyPrior) -> None:
    condition = prior.condition(torch.rand(4, 3, 24, 32))
    part = condition.crop(Window(start=1, stop=3), Tile(top=2, bottom=8, left=4, right=10))
    assert torch.equal(part.lr, condition.lr[1:3, :, 4:16, 8:20])
    assert torch.equal(part.patches, condition.patches[1:3, :, 2:8, 4:10])


def test_weights_round_trip(tmp_path: Path) -> None:
    network = TinyNetwork(replace(SMALL, latent_scale=7.0))
    save_tiny(network, tmp_path / "w.safetensors", trained="never")
    assert read_tiny_config(tmp_path / "w.safetensors") == network.config
    for name, value in load_tiny(tmp_path / "w.safetensors").state_dict().items():
        assert torch.equal(value, network.state_dict()[name])
