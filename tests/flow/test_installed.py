"""One installed flow network serves all: where it is looked for, which is chosen, and what is said without one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.flow.estimate import DISFlow, LastFlows
from limpid.flow.installed import find_flow_weights, flow_digest, flow_estimator, flow_file_used, flow_is_random
from limpid.methods import find_method
from limpid.networks.flow.raft import RAFTFlow
from limpid.networks.flow.spynet import SpyNetFlow
from limpid.settings import Settings
from limpid.types import WeightsError


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights with both networks, random, as ``limpid weights convert`` installs them."""
    root = tmp_path_factory.mktemp("installed")
    for name in ("raft-things", "spynet"):
        convert_weights(name, make_random_weights(name, "tiny", root / "made" / name), root / name)
    return root


@pytest.fixture
def installed(converted: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMPID_WEIGHTS", str(converted))
    return converted


def test_without_weights_auto_is_dis_and_a_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_WEIGHTS", str(tmp_path))
    assert flow_estimator("auto", tmp_path) == flow_estimator("dis") == DISFlow()
    with pytest.raises(WeightsError, match="limpid weights convert raft-things"):
        flow_estimator("raft", tmp_path)
    with pytest.raises(WeightsError, match=r"non-commercial .* limpid weights convert spynet"):
        flow_estimator("spynet", tmp_path)


def test_one_installed_network_serves_every_method(installed: Path, tmp_path: Path) -> None:
    place = installed / "raft-things" / "flow" / "model.safetensors"
    assert flow_estimator("auto") == flow_estimator("raft", tmp_path) == RAFTFlow(place)
    assert flow_estimator("dis") == DISFlow()
    found = flow_estimator("spynet", tmp_path)
    assert isinstance(found, SpyNetFlow)
    assert found(*torch.rand(2, 1, 3, 32, 32)).shape == (1, 2, 32, 32)
    assert flow_is_random(place) and flow_file_used(LastFlows(found)) == found.path
    weights = find_flow_weights("raft")
    assert weights is not None and weights.named() == f"RAFT (sha256 {flow_digest(place)[:8]}, random weights)"


def test_the_methods_own_raft_comes_first(installed: Path, tmp_path: Path) -> None:
    own = tmp_path / "flow" / "model.safetensors"
    own.parent.mkdir()
    own.write_bytes(b"another")
    assert flow_estimator("auto", tmp_path) == RAFTFlow(own)
    assert flow_file_used(flow_estimator("spynet", tmp_path)) == installed / "spynet" / "flow" / "model.safetensors"


@pytest.mark.parametrize("flow", ["raft", "spynet"])
def test_weights_of_a_flow_network_belong_to_the_key_only_when_they_are_used(installed: Path, flow: str) -> None:
    plain = find_method("tiny", Settings())
    guided = find_method("tiny", Settings(consistency="motion", flow="dis"))
    by_network = find_method("tiny", Settings(consistency="motion", flow=flow))  # type: ignore[arg-type]
    assert plain.weights.digest() == guided.weights.digest() != by_network.weights.digest()
    assert by_network.weights.random and not guided.weights.random
