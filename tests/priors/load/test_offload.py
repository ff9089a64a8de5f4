"""Where networks are while others run, in which format and layout, and what decides it; no accelerator is needed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import ModelMixin
from diffusers.configuration_utils import ConfigMixin
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from limpid.plan.memory import GIB
from limpid.plan.offload import choose_offload
from limpid.priors.load.offload import (
    Home,
    Parts,
    offload_layers,
    place_network,
    vae_dtype,
)
from limpid.types import Offload, Placement

ACCELERATOR = torch.device("cuda")
"""A name only: nothing is moved there in these tests."""


def placement(offload: Offload = "none", device: str | torch.device = "cpu", **changes: Any) -> Placement:
    return Placement(**{"device": torch.device(device), "dtype": torch.float32, "offload": offload, **changes})


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x))
        return out


class Layered(ModelMixin, ConfigMixin):
    """A network of diffusers' kind that notes down how layers were to be moved."""

    config_name = "config.json"

    def __init__(self) -> None:
        super().__init__()
        self.body = Small()
        self.asked: dict[str, Any] = {}

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


class Recording(Layered):
    def enable_group_offload(self, **options: Any) -> None:
        self.asked = options


class RecordingVAE(Recording):
    def decode(self, z: Tensor) -> Tensor:
        return z


class Moves:
    """Stands for the moving of networks: who is on the device, in the order of coming and going."""

    def __init__(self) -> None:
        self.there: list[nn.Module] = []
        self.most = 0
        self.comings = 0

    def load(self, network: nn.Module) -> None:
        self.there.append(network)
        self.most = max(self.most, len(self.there))
        self.comings += 1

    def unload(self, network: nn.Module) -> None:
        self.there.remove(network)


def parts(offload: Offload, device: str | torch.device = ACCELERATOR, **networks: nn.Module) -> tuple[Parts, Moves]:
    moves = Moves()
    networks = networks or {"text": Small(), "unet": Small(), "vae": Small()}
    return Parts(placement(offload, device), load=moves.load, unload=moves.unload, **networks), moves


# ------------------------------------------------------------------------------------------------ parts


def test_without_offloading_all_come_at_once_and_stay() -> None:
    made, moves = parts("none")
    assert len(moves.there) == 3
    for name in ("unet", "vae", "unet"):
        assert made.use(name) is made.networks[name]
    made.release()
    assert (len(moves.there), moves.comings) == (3, 3)


def test_one_network_at_a_time() -> None:
    made, moves = parts("model")
    assert not moves.there
    for name in ("text", "unet", "unet", "vae", "unet"):
        assert made.use(name) is made.networks[name]
        assert moves.there == [made.networks[name]]
    assert (moves.most, moves.comings) == (1, 4)
    made.release()
    made.release()
    assert not moves.there
    made.use("unet")
    assert moves.there == [made.networks["unet"]]


def test_a_dropped_network_is_gone() -> None:
    made, moves = parts("model")
    made.use("text")
    made.drop("text")
    assert not moves.there
    with pytest.raises(KeyError):
        made.use("text")
    made.drop("vae")
    assert set(made.networks) == {"unet"}


def test_layers_in_turn_where_a_network_can_and_whole_networks_else() -> None:
    unet, vae, flow = Recording(), RecordingVAE(), Small()
    made, moves = parts("group", unet=unet, vae=vae, flow=flow)
    made.use("unet")
    assert not moves.comings
    assert unet.asked == {
        "onload_device": ACCELERATOR,
        "offload_device": torch.device("cpu"),
        "offload_type": "leaf_level",
        "use_stream": True,
        "record_stream": True,
    }
    for name in ("flow", "vae"):
        assert moves.there != [made.networks[name]]
        assert made.use(name) is made.networks[name]
        assert moves.there == [made.networks[name]]
    assert not vae.asked


@pytest.mark.parametrize("offload", ["none", "model", "group"])
def test_on_a_cpu_nothing_is_moved(offload: Offload) -> None:
    unet = Recording()
    made, moves = parts(offload, "cpu", unet=unet, vae=Small())
    made.use("unet")
    made.use("vae")
    made.release()
    assert not moves.comings
    assert not unet.asked


class TestHome:
    def test_the_network_uses_copies_and_comes_home_without_one(self) -> None:
        network = Small()
        home = Home(network, pin=False)
        before = [t.data_ptr() for t in (*network.parameters(), *network.buffers())]
        expected = network.eval()(torch.ones(1, 3, 4, 4))
        home.load(torch.device("cpu"))
        away = [t.data_ptr() for t in (*network.parameters(), *network.buffers())]
        assert not set(before) & set(away)
        assert torch.equal(network(torch.ones(1, 3, 4, 4)), expected)
        home.release()
        assert [t.data_ptr() for t in (*network.parameters(), *network.buffers())] == before

    def test_layout_number_format_and_ties_are_kept(self) -> None:
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3))
        network[1].weight = network[0].weight
        place_network(network, placement(dtype=torch.bfloat16))
        home = Home(network, pin=False)
        home.load(torch.device("cpu"))
        assert network[1].weight is network[0].weight
        assert network[0].weight.dtype == torch.bfloat16
        assert network[0].weight.is_contiguous(memory_format=torch.channels_last)

    def test_it_works_inside_and_outside_of_inference_mode(self) -> None:
        network = place_network(Small(), placement())
        home = Home(network, pin=False)
        with torch.inference_mode():
            home.load(torch.device("cpu"))
            inside = network(torch.ones(1, 3, 4, 4))
        home.release()
        home.load(torch.device("cpu"))
        assert torch.equal(network(torch.ones(1, 3, 4, 4)), inside)

    def test_what_cannot_be_pinned_is_used_as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(self: Tensor) -> Tensor:
            raise RuntimeError("no more locked memory")

        monkeypatch.setattr(Tensor, "pin_memory", refuse)
        network = Small()
        Home(network, pin=True).load(torch.device("cpu"))
        assert network.eval()(torch.ones(1, 3, 4, 4)).isfinite().all()

    def test_parts_use_it_for_a_device_of_another_kind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[tuple[str, str]] = []
        monkeypatch.setattr(Home, "load", lambda self, device: seen.append(("load", device.type)))
        monkeypatch.setattr(Home, "release", lambda self: seen.append(("release", "")))
        made = Parts(placement("model", "mps"), unet=Small(), vae=Small())
        made.use("unet")
        made.use("vae")
        # A home begins with a release, which changes nothing.
        assert seen == [("release", ""), ("load", "mps"), ("release", ""), ("release", ""), ("load", "mps")]


def test_layer_by_layer_is_the_same_network() -> None:
    torch.manual_seed(0)
    network = place_network(Layered(), placement())
    x = torch.randn(2, 3, 5, 5)
    expected = network(x)
    offload_layers(network, torch.device("cpu"))
    assert torch.equal(network(x), expected)


# ------------------------------------------------------------------------------------------ one network


def test_prepare_sets_format_layout_and_mode() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 3), nn.Linear(4, 4), nn.BatchNorm2d(4))
    assert place_network(network, placement(dtype=torch.bfloat16)) is network
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    assert {p.dtype for p in network.parameters()} == {torch.bfloat16}
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert network[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert network[3].num_batches_tracked.dtype == torch.int64
    assert {p.dtype for p in place_network(network, placement(), torch.float16).parameters()} == {torch.float16}


@pytest.mark.parametrize(
    ("run", "vae"),
    [(torch.float32, torch.float32), (torch.bfloat16, torch.bfloat16), (torch.float16, torch.float32)],
)
def test_the_autoencoder_never_runs_in_float16(run: torch.dtype, vae: torch.dtype) -> None:
    assert vae_dtype(placement(dtype=run)) == vae


# --------------------------------------------------------------------------------------------- choosing

WEIGHTS = {"text": 1 * GIB, "unet": 3 * GIB, "vae": GIB + GIB // 10}


IN_TURN = "layers are on the device one after the other"
REASONS: list[tuple[int, int, Offload, str]] = [
    (3, 9, "none", "5.1 GiB of weights and 3.0 GiB of work fit into 9.0 GiB: all stays on the device"),
    (3, 6, "model", "5.1 GiB of weights and 3.0 GiB of work do not fit into 6.0 GiB at once: one network at a time"),
    (3, 5, "group", f"unet with 3.0 GiB of weights and 3.0 GiB of work do not fit into 5.0 GiB: {IN_TURN}"),
    (3, 2, "group", f"3.0 GiB of work alone does not fit into 2.0 GiB: {IN_TURN}, and smaller tiles"),
]


@pytest.mark.parametrize(("work", "budget", "offload", "reason"), REASONS)
def test_choice_and_its_reason(work: int, budget: int, offload: Offload, reason: str) -> None:
    chosen, why = choose_offload(WEIGHTS, work * GIB, budget * GIB)
    assert chosen == offload
    assert why.startswith(reason)


def test_one_network_alone_is_never_moved_as_a_whole() -> None:
    assert choose_offload({"unet": 3}, 3, 5)[0] == "group"
    assert choose_offload({}, 3, 5)[0] == "none"


@given(st.lists(st.integers(0, 20), max_size=4), st.integers(0, 20), st.integers(0, 50))
def test_what_is_chosen_fits_and_nothing_faster_would(sizes: list[int], work: int, budget: int) -> None:
    weights = {str(i): size for i, size in enumerate(sizes)}
    chosen, _ = choose_offload(weights, work, budget)
    fits: list[Offload] = []
    if sum(sizes) + work <= budget:
        fits.append("none")
    if len(sizes) > 1 and max(sizes) + work <= budget:
        fits.append("model")
    assert chosen == [*fits, "group"][0]
