"""Where training of `small` begins: what ncnn computes of a compact network, or what was trained before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from fakes import repeat_pixels, video
from image_networks import compact, nearest
from ncnn_here import needs_ncnn

from limpid.flow.aligned import with_neighbours
from limpid.methods.small import SMALL_FILE
from limpid.priors.small import SmallConfig, SmallNetwork, save_small
from limpid.runtimes.network import NcnnNetwork
from limpid.runtimes.trial import enlarge_once
from limpid.train.stage import Start
from limpid.train.starts.small import start_small
from limpid.types import WeightsError

CONFIG = SmallConfig(channels=8, layers=2, neighbours=(-1, 1))


def start(weights: Path | None = None, previous: Path | None = None, seed: int = 0) -> Start:
    return Start(device=torch.device("cpu"), seed=seed, weights=weights, previous=previous)


@torch.no_grad()
def residual(network: SmallNetwork, lr: torch.Tensor) -> torch.Tensor:
    told = with_neighbours(lr, network.config.neighbours)
    made: torch.Tensor = network(told, network.places(*lr.shape[-2:]))
    return F.pixel_shuffle(made, network.config.scale)


@needs_ncnn
@pytest.mark.parametrize("half", [False, True])
def test_a_compact_network_computes_what_ncnn_does_up_to_the_base(half: bool, tmp_path: Path) -> None:
    param = compact(tmp_path / "sharp", channels=6, layers=3, half=half)
    network = start_small(CONFIG, start(param))
    assert network.config == SmallConfig(channels=6, layers=3, neighbours=(-1, 1))
    lr = video(3, 10, 12)
    wanted = torch.stack([torch.from_numpy(enlarge_once(NcnnNetwork(tmp_path / "sharp"), x.numpy())) for x in lr])
    torch.testing.assert_close(repeat_pixels(lr, 4) + residual(network, lr), wanted, atol=1e-4, rtol=0)


def test_it_may_be_named_as_models_are(tmp_path: Path) -> None:
    param = compact(tmp_path / "sharp.v3")
    names = (param, param.with_suffix(".bin"), tmp_path / "sharp.v3")
    first, *others = (start_small(CONFIG, start(name)).state_dict() for name in names)
    for other in others:
        assert all(torch.equal(value, other[name]) for name, value in first.items())


def test_places_and_neighbours_count_nothing_yet_and_can_be_learned(tmp_path: Path) -> None:
    network = start_small(CONFIG, start(compact(tmp_path / "sharp")))
    assert not network.place.any() and not network.enter.weight[:, 3:].any()
    assert all(parameter.requires_grad for parameter in network.parameters())
    network(torch.rand(2, 9, 8, 8), network.places(8, 8)).square().sum().backward()
    assert network.place.grad.any() and network.enter.weight.grad[:, 3:].any()  # type: ignore[union-attr]


def test_what_was_trained_goes_on_as_it_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = SmallNetwork(SmallConfig(channels=4, layers=1, neighbours=(1,)))
    save_small(trained, tmp_path / SMALL_FILE)
    for begun in (start(tmp_path), start(tmp_path / SMALL_FILE), start(compact(tmp_path / "other"), tmp_path)):
        network = start_small(CONFIG, begun)
        assert network.config == trained.config
        assert all(torch.equal(value, network.state_dict()[name]) for name, value in trained.state_dict().items())


def test_a_new_one_adds_nothing_and_follows_the_seed() -> None:
    first, again, other = (start_small(CONFIG, start(seed=seed)) for seed in (1, 1, 2))
    assert not residual(first, video(2, 8, 8)).any()
    assert torch.equal(first.enter.weight, again.enter.weight)
    assert not torch.equal(first.enter.weight, other.enter.weight)


def test_weights_of_another_form_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="a compact network is needed: 3x3 convolutions in a row"):
        start_small(CONFIG, start(nearest(tmp_path / "plain")))
    with pytest.raises(WeightsError, match="there is no such file"):
        start_small(CONFIG, start(tmp_path / "no.param"))
    with pytest.raises(WeightsError):
        start_small(CONFIG, start(tmp_path / "nothing.safetensors"))
