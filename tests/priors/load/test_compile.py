"""Compiling is an option that gives the same result, and falls back with one warning where it cannot work."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from limpid.priors.load import offload as module_under_test
from limpid.priors.load.offload import compiled, place_network
from limpid.types import Offload, Placement


@pytest.fixture(autouse=True)
def _nothing_compiled_is_left() -> Iterator[None]:
    yield
    torch._dynamo.reset()


def placement(offload: Offload = "none", device: str = "cpu", *, compile: bool = False) -> Placement:
    return Placement(device=torch.device(device), dtype=torch.float32, offload=offload, compile=compile)


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))


def test_compiling_is_an_option() -> None:
    network = place_network(small(), placement())
    assert compiled(network, placement()) is network
    assert "forward" not in vars(network)


def test_a_compiled_network_gives_the_same_for_any_size() -> None:
    torch.manual_seed(0)
    network = place_network(small(), placement())
    inputs = [torch.randn(1, 3, size, 8) for size in (4, 6, 10)]
    expected = [network(x) for x in inputs]
    assert compiled(network, placement(compile=True), backend="eager") is network
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for x, result in zip(inputs, expected, strict=True):
            torch.testing.assert_close(network(x), result)


def test_a_failing_compilation_falls_back_with_one_warning() -> None:
    def fails(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("out of order")

    network = place_network(small(), placement())
    x = torch.ones(1, 3, 4, 4)
    expected = network(x)
    compiled(network, placement(compile=True), backend=fails)  # type: ignore[arg-type]
    with pytest.warns(RuntimeWarning, match="the denoiser is not compiled") as caught:
        results = [network(x) for _ in range(2)]
    assert len(caught) == 1
    assert all(torch.equal(result, expected) for result in results)


def test_an_error_of_the_network_itself_is_not_hidden() -> None:
    network = compiled(place_network(small(), placement()), placement(compile=True), backend="eager")
    # Tracing fails first, then the network as it is, whose error is the one to see.
    with pytest.warns(RuntimeWarning, match="not compiled"), pytest.raises(RuntimeError, match="to have 3 channels"):
        network(torch.ones(1, 7, 4, 4))


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (placement(compile=True), "no C.. compiler is installed"),
        (placement(device="cuda", compile=True), "triton is not installed"),
        (placement("group", "cuda", compile=True), "group offloading"),
    ],
)
def test_what_cannot_be_compiled_runs_as_it_is(run: Placement, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(module_under_test, "find_spec", lambda name: None)
    network = place_network(small(), placement())
    with pytest.warns(RuntimeWarning, match=why) as caught:
        assert compiled(network, run) is network
    assert len(caught) == 1
    assert "forward" not in vars(network)
