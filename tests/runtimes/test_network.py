"""Networks written for ncnn, read by it and run: layers against PyTorch, what is said when something fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from ncnn_here import needs_ncnn

from limpid.runtimes.network import NcnnNetwork
from limpid.runtimes.writing import NcnnGraph
from limpid.types import WeightsError

pytestmark = needs_ncnn


def graph_of_all_layers(random: np.random.Generator) -> tuple[NcnnGraph, np.ndarray, np.ndarray]:
    weight, bias = random.standard_normal((12, 3, 3, 3), np.float32), random.standard_normal(12, np.float32)
    graph = NcnnGraph()
    graph.input("picture")
    graph.convolution("picture", "wide", weight, bias, relu=True)
    graph.slice("wide", [("first", 2), ("second", 3), ("rest", 0)])
    graph.concat(["second", "first", "rest"], "turned")
    graph.sum("turned", "wide", "both")
    graph.pixel_shuffle("both", "large", 2)
    return graph, weight, bias


@pytest.mark.parametrize("size", [(5, 7), (16, 16), (1, 9)])
def test_layers_do_what_those_of_pytorch_do(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    graph, weight, bias = graph_of_all_layers(random)
    network = NcnnNetwork.of_graph(graph)
    assert (network.input_names, network.output_names) == (("picture",), ("large",))
    picture = random.standard_normal((3, *size), np.float32)
    (large,) = network.run({"picture": network.mat(picture)}, ["large"])
    wide = F.relu(F.conv2d(torch.from_numpy(picture), torch.from_numpy(weight), torch.from_numpy(bias), padding=1))
    turned = torch.cat([wide[2:5], wide[:2], wide[5:]])
    expected = F.pixel_shuffle(turned + wide, 2)
    torch.testing.assert_close(torch.from_numpy(np.array(large)), expected, atol=1e-4, rtol=1e-4)


def test_what_is_packed_can_be_given_back() -> None:
    graph, _, _ = graph_of_all_layers(np.random.default_rng(0))
    network = NcnnNetwork.of_graph(graph)
    picture = np.ones((3, 8, 8), np.float32)
    (wide,) = network.run({"picture": network.mat(picture)}, ["wide"], packed=True)
    (once,) = network.run({"picture": network.mat(picture)}, ["large"])
    (again,) = network.run({"wide": wide}, ["large"])
    assert np.array_equal(np.array(once), np.array(again))


def test_what_cannot_be_read_or_run_is_a_sentence(tmp_path: Path) -> None:
    graph, _, _ = graph_of_all_layers(np.random.default_rng(0))
    (tmp_path / "bad.param").write_text("7767517\n1 1\nNoSuchLayer a 0 1 a\n")
    (tmp_path / "bad.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"bad\.param: ncnn cannot read this network"):
        NcnnNetwork(tmp_path / "bad")
    network = NcnnNetwork.of_graph(graph)
    picture = network.mat(np.ones((3, 8, 8), np.float32))
    with pytest.raises(WeightsError, match="no input called 'nothing'"):
        network.run({"nothing": picture}, ["large"])
    with pytest.raises(WeightsError, match="as far as 'nowhere'"):
        network.run({"picture": picture}, ["nowhere"])
    with pytest.raises(ValueError, match="plain float32"):
        network.mat(np.ones((3, 8, 8)))
