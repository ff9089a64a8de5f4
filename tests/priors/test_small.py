"""`small`: what goes frame by frame is what the network makes of the clip, in PyTorch and ncnn, whatever the cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from fakes import video
from ncnn_here import needs_ncnn, needs_vulkan
from torch import Tensor

from limpid.flow.aligned import with_neighbours
from limpid.method import DirectPrior
from limpid.priors.small import SmallConfig, SmallNetwork, load_small, negative_slope, read_small_config, save_small
from limpid.priors.small_ncnn import placed_small
from limpid.priors.tiny import TinyConfig, TinyNetwork, save_tiny
from limpid.types import Placement, Step, WeightsError

CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)
NCNN = replace(CPU, runtime="ncnn")
STEP = Step(index=0, count=1, t=0.0, alpha=1.0, sigma=1.0, alpha_next=1.0, sigma_next=0.0)


@pytest.fixture
def network() -> SmallNetwork:
    torch.manual_seed(0)
    made = SmallNetwork(SmallConfig(channels=16, layers=5, neighbours=(-1, 2))).requires_grad_(False)
    made.place.normal_(std=0.3)
    made.slopes.uniform_(-0.2, 0.5)
    return made


def told_of(lr: Tensor, network: SmallNetwork) -> Tensor:
    """What the network reads."""
    return with_neighbours(lr, network.config.neighbours)


def of_the_clip(network: SmallNetwork, told: Tensor) -> Tensor:
    """The slow twin: the whole clip at once, over PyTorch's own bicubic upscaling; not clipped."""
    residual = network(told, network.places(*told.shape[-2:]))
    return F.interpolate(told[:, :3], scale_factor=4, mode="bicubic") + F.pixel_shuffle(residual, 4)


def direct(network: SmallNetwork, placement: Placement, told: Tensor) -> Tensor:
    prior = placed_small(network, placement)
    assert isinstance(prior, DirectPrior)
    return torch.stack([frame.picture(None) for frame in prior.direct(STEP)(iter(told))])


def test_the_slopes_are_those_of_prelu() -> None:
    x, slopes = torch.randn(2, 5, 4, 3), torch.randn(5)
    torch.testing.assert_close(negative_slope(x, slopes), F.prelu(x, slopes))


@pytest.mark.parametrize("placement", [CPU, pytest.param(NCNN, marks=needs_ncnn)], ids=["torch", "ncnn"])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_frame_by_frame_is_the_whole_clip(network: SmallNetwork, placement: Placement, frames: int) -> None:
    told = told_of(video(frames, 18, 21), network)
    wanted = of_the_clip(network, told)
    torch.testing.assert_close(direct(network, placement, told), wanted.clamp(0, 1), atol=1e-4, rtol=0)
    prior = placed_small(network, placement)
    condition = prior.condition(told)
    noise = torch.zeros(1, prior.latent_channels, frames, *prior.latent_size(18, 21))
    latent = prior.denoise(noise, STEP, condition).x0
    torch.testing.assert_close(prior.decode(latent, condition), wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("placement", [CPU, pytest.param(NCNN, marks=needs_ncnn)], ids=["torch", "ncnn"])
def test_a_frame_has_its_bits_in_any_chunk(network: SmallNetwork, placement: Placement) -> None:
    lr, reach = video(9, 16, 24), network.config.radius_frames
    whole = direct(network, placement, told_of(lr, network))
    assert torch.equal(direct(network, placement, told_of(lr[: 4 + reach], network))[:4], whole[:4])
    assert torch.equal(direct(network, placement, told_of(lr[4 - reach :], network))[reach:], whole[4:])


def test_a_picture_and_the_shrunk_one_belong_together(network: SmallNetwork) -> None:
    told = told_of(video(2, 10, 12), network)
    wanted = F.avg_pool2d(of_the_clip(network, told), 4)
    for frame, small in zip(placed_small(network, CPU).direct(STEP)(iter(told)), wanted, strict=True):
        torch.testing.assert_close(frame.shrunk(), small, atol=1e-5, rtol=0)


def test_what_it_reaches_is_what_it_says(network: SmallNetwork) -> None:
    config, lr = network.config, video(9, 40, 8)
    told, moved = told_of(lr, network), lr.clone()
    moved[4] += 0.5
    changed = (of_the_clip(network, told_of(moved, network)) - of_the_clip(network, told)).abs().amax(dim=(1, 2, 3)) > 0
    assert changed.nonzero().flatten().tolist() == [2, 4, 5] and config.radius_frames == 2
    other = told.clone()
    other[4, :, 20, 4] += 0.5
    rows = (of_the_clip(network, other) - of_the_clip(network, told)).abs().amax(dim=(0, 1, 3)).view(40, 4).any(dim=1)
    assert (20 - config.radius_px, 20 + config.radius_px) == (rows.nonzero().min(), rows.nonzero().max())


@needs_vulkan
@pytest.mark.parametrize(("half", "atol"), [(False, 1e-3), (True, 2e-2)])
def test_it_computes_the_same_on_a_vulkan_device(network: SmallNetwork, half: bool, atol: float) -> None:
    told = told_of(video(3, 18, 21), network)
    where = replace(NCNN, vulkan=0, dtype=torch.float16 if half else torch.float32)
    torch.testing.assert_close(direct(network, where, told), direct(network, CPU, told), atol=atol, rtol=0)


@pytest.mark.parametrize("placement", [CPU, pytest.param(NCNN, marks=needs_ncnn)], ids=["torch", "ncnn"])
def test_no_frames_give_nothing(network: SmallNetwork, placement: Placement) -> None:
    assert list(placed_small(network, placement).direct(STEP)(iter(()))) == []


def test_weights_are_read_as_they_were_written(network: SmallNetwork, tmp_path: Path) -> None:
    save_small(network, tmp_path / "small.safetensors")
    again = load_small(tmp_path / "small.safetensors")
    assert again.config == network.config
    for (name, kept), value in zip(again.state_dict().items(), network.state_dict().values(), strict=True):
        assert torch.equal(kept, value), name


@pytest.mark.parametrize(
    "change",
    [{"layers": 65}, {"channels": 0}, {"neighbours": (0, 1)}, {"neighbours": (9,)}, {"grid_px": 4}, {"scale": 17}],
)
def test_shapes_that_cannot_be_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    network = SmallNetwork(SmallConfig(channels=4, layers=2, neighbours=(1,)))
    network.config = replace(network.config, **change)  # type: ignore[arg-type]
    save_small(network, tmp_path / "small.safetensors")
    with pytest.raises(WeightsError, match="has no weights of small that can be used"):
        read_small_config(tmp_path / "small.safetensors")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_tiny(TinyNetwork(TinyConfig(channels=16, blocks=2, shifts=(1,))), tmp_path / "tiny.safetensors")
    with pytest.raises(WeightsError, match="has no weights of small, by its header; weights of tiny need"):
        load_small(tmp_path / "tiny.safetensors")
