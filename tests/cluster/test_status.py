"""``limpid cluster status``: what a cluster has, where Limpid works on it, and which nodes do not go together."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import cluster_nodes as land
import pytest

from limpid import __version__
from limpid.cli.cluster import command
from limpid.cluster import status
from limpid.cluster.start import Connection
from limpid.cluster.status import NodeFacts, NodeStatus, facts_here, facts_of, make_probe, problems_of
from limpid.types import ResourceError, SettingsError

FACTS = NodeFacts(
    limpid=__version__,
    versions={"limpid": __version__, "python": "3.11.7", "torch": "2.8.0+cu128"},
    processor="a processor",
    dtype="bfloat16",
    cuda="12.8",
    free_bytes=8 << 30,
    disk_free_bytes=50 << 30,
)
NODE = NodeStatus(
    name="a",
    address="10.0.0.1",
    cores=8.0,
    free_cores=6.0,
    gpus=0.0,
    free_gpus=0.0,
    memory_bytes=1 << 30,
    free_memory_bytes=1 << 29,
    facts=FACTS,
)


def test_nodes_that_are_alike_are_no_problem() -> None:
    assert problems_of([NODE, replace(NODE, name="b")]) == []


def test_what_differs_is_named_with_both_values() -> None:
    other = replace(FACTS, versions={**FACTS.versions, "torch": "2.7.0"}, processor="a faster one")
    (sentence,) = problems_of([NODE, replace(NODE, name="b"), replace(NODE, name="c", facts=other)])
    assert sentence.startswith("c: it would not be used together with the others")
    assert "torch (2.7.0, not 2.8.0+cu128)" in sentence
    assert "model (a faster one, not a processor)" in sentence


def test_nodes_with_gpus_are_compared_by_their_gpus() -> None:
    """Processors beside them may differ: they compute nothing."""
    card = status.GpuStatus(name="card A", memory_bytes=1 << 33, free_bytes=1 << 32)
    first = replace(NODE, gpus=2.0, facts=replace(FACTS, gpus=(card, card)))
    second = replace(first, name="b", facts=replace(first.facts or FACTS, processor="another", gpus=(card,)))
    assert problems_of([NODE, first, second]) == []
    third = replace(first, name="c", facts=replace(FACTS, gpus=(replace(card, name="card B"),)))
    (sentence,) = problems_of([NODE, first, second, third])
    assert "model (card B, not card A)" in sentence


def test_a_gpu_that_torch_cannot_use_is_a_problem() -> None:
    (sentence,) = problems_of([replace(NODE, gpus=1.0, facts=replace(FACTS, cuda=None))])
    assert "has no CUDA" in sentence


def test_another_version_and_a_node_without_limpid_are_problems() -> None:
    old = replace(NODE, name="b", facts=replace(FACTS, limpid="0.0.1"))
    none = replace(NODE, name="c", facts=None, trouble="Limpid cannot be loaded: ModuleNotFoundError: no")
    found = problems_of([NODE, old, none])
    assert found == [
        "c: Limpid cannot be loaded: ModuleNotFoundError: no",
        f"b: it has Limpid 0.0.1, and this machine {__version__}",
    ]


def test_a_probe_says_what_this_machine_is() -> None:
    facts = facts_of(make_probe()())
    assert isinstance(facts, NodeFacts)
    assert facts.limpid == __version__
    assert facts.disk_free_bytes > 0


def test_a_probe_says_what_it_runs_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "facts_here", lambda: 1 / 0)
    assert facts_of(make_probe()()) == f"Limpid {__version__} does not work: ZeroDivisionError: division by zero"
    monkeypatch.setitem(sys.modules, "limpid", None)
    assert "cannot be loaded" in str(facts_of(make_probe()()))


def test_gpus_are_those_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    said = SimpleNamespace(stdout="NVIDIA A, 80 GB, 81920, 81000\nNVIDIA B, 10, 5\n")
    monkeypatch.setattr(status.subprocess, "run", lambda *_, **__: said)
    assert [gpu["name"] for gpu in status.gpus_here()] == ["NVIDIA A, 80 GB", "NVIDIA B"]
    assert status.gpus_here()[1]["memory_bytes"] == 10 << 20

    def missing(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(status.subprocess, "run", missing)
    assert status.gpus_here() == []


def ray_node(number: int, *, alive: bool = True, gpus: float = 0.0) -> dict[str, Any]:
    resources = {"CPU": 4.0, "memory": float(1 << 30), **({"GPU": gpus} if gpus else {})}
    address = f"10.0.0.{number}"
    return {
        "NodeID": str(number),
        "Alive": alive,
        "NodeManagerAddress": address,
        "NodeManagerHostname": f"node-{number}",
        "Resources": resources,
    }


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A cluster of two nodes and one that is gone; what they answer may be changed."""
    answers: dict[str, Any] = {"1": FACTS, "2": FACTS}
    nodes = [ray_node(1), ray_node(2, gpus=1.0), ray_node(3, alive=False)]

    @contextlib.contextmanager
    def running(address: str) -> Iterator[Connection]:
        yield Connection(SimpleNamespace(nodes=lambda: nodes, __version__="2.60.0"), None)

    monkeypatch.setattr(status, "check_ray", lambda: None)
    monkeypatch.setattr(status, "check_address", lambda address: None)
    monkeypatch.setattr(status, "running_cluster", running)
    monkeypatch.setattr(status, "_ask", lambda ray, names: {name: answers[name] for name in names})
    monkeypatch.setattr(status, "_free", lambda ray: {"1": {"CPU": 1.0, "memory": 5.0}, "2": {"CPU": 4.0, "GPU": 1.0}})
    return answers


def test_a_cluster_in_words(cluster: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["status", "head:6379"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("head:6379: 2 nodes, 1 gone, 5 of 8 cores free, 1 of 1 GPUs free\n")
    assert "node-1 (10.0.0.1): 1 of 4 cores free, 8.59 GB of memory free" in said
    assert f"Limpid {__version__}, torch 2.8.0+cu128, Python 3.11.7; a processor, bfloat16" in said
    cluster["2"] = "it does not answer within 60 s"
    assert command(["status", "head:6379"]) == 1
    assert "! node-2: it does not answer" in capsys.readouterr().out


def test_a_cluster_as_json(cluster: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["address"] == "auto"
    assert (found["gone"], found["problems"]) == (1, [])
    node = found["nodes"][0]
    assert (node["cores"], node["free_cores"], node["free_memory_bytes"]) == (4.0, 1.0, 5)
    assert node["facts"]["versions"]["torch"] == "2.8.0+cu128"


def test_where_nothing_answers_and_without_ray_it_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str) -> None:
        raise ResourceError(f"no Ray cluster answers at {address}")

    monkeypatch.setattr(status, "check_ray", lambda: None)
    monkeypatch.setattr(status, "check_address", refuse)
    with pytest.raises(ResourceError, match="no Ray cluster answers at head:1"):
        command(["status", "head:1"])
    monkeypatch.undo()
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None)
    with pytest.raises(SettingsError, match=r"pip install 'limpid-video\[ray\]'"):
        command(["status", "head:1"])


def test_options_come_after_the_action() -> None:
    with pytest.raises(SettingsError, match="see limpid cluster --help"):
        command([])


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_a_real_cluster_of_two_nodes() -> None:
    with land.short_folder() as folder:
        nodes = land.Nodes(folder, 2)
        code, said = land.run_limpid(folder, "cluster", "status", nodes.address, "--json")
        nodes.close()
    found = json.loads(said)
    assert code == 0, found["problems"]
    assert [node["cores"] for node in found["nodes"]] == [1.0, 1.0]
    assert [node["free_cores"] for node in found["nodes"]] == [1.0, 1.0]
    assert {node["facts"]["limpid"] for node in found["nodes"]} == {__version__}
    assert facts_here()["versions"] == found["nodes"][0]["facts"]["versions"]
