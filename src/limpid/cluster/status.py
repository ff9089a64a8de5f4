"""`limpid cluster status`: the nodes of a Ray cluster, what is free on them, and whether Limpid works there."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limpid import __version__
from limpid.cluster.facts import is_same_everywhere
from limpid.cluster.ray_import import check_ray
from limpid.cluster.reach import check_address
from limpid.cluster.start import running_cluster
from limpid.run.journal import differences

PROBE_S = 60.0
"""How long nodes may take to say what they are; the first time one of them loads PyTorch it takes seconds."""
_SMI_S = 10


@dataclass(frozen=True, kw_only=True)
class GpuStatus:
    """A GPU as its driver sees it; bytes."""

    name: str
    memory_bytes: int
    free_bytes: int


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What a node says of itself."""

    limpid: str
    versions: Mapping[str, str]
    """Versions of what the bytes of a result depend on."""
    processor: str
    dtype: str
    """What ``--dtype auto`` takes on its processor."""
    cuda: str | None
    """The version of CUDA that its PyTorch is built for."""
    free_bytes: int
    """Memory that Limpid could still take."""
    disk_free_bytes: int
    """Where workers put frames and segments that are on their way."""
    gpus: tuple[GpuStatus, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """One node. What is free is what Ray has not promised to anybody; None where Ray does not say."""

    name: str
    address: str
    cores: float
    free_cores: float | None
    gpus: float
    free_gpus: float | None
    memory_bytes: int
    """What Ray may give away."""
    free_memory_bytes: int | None
    facts: NodeFacts | None = None
    trouble: str | None = None
    """Why Limpid does not work there."""


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """A cluster at one moment."""

    address: str
    limpid: str
    """The version here."""
    ray: str
    python: str
    """Ray wants the same one on all nodes, up to the last number."""
    nodes: tuple[NodeStatus, ...]
    gone: int
    """Nodes that were there and are not any more."""
    problems: tuple[str, ...]


def cluster_status(address: str | None) -> ClusterStatus:
    """Look at a cluster; None: that of ``RAY_ADDRESS``, else one on this machine.

    Raises SettingsError where Ray is not installed, ResourceError where no cluster answers.
    """
    check_ray()
    address = address or os.environ.get("RAY_ADDRESS") or "auto"
    check_address(address)
    with running_cluster(address) as connection:
        ray = connection.ray
        nodes = ray.nodes()
        alive = [node for node in nodes if node["Alive"]]
        answers = _ask(ray, [node["NodeID"] for node in alive])
        free = _free(ray)
        found = [_node(node, free.get(node["NodeID"], {}), answers[node["NodeID"]]) for node in alive]
    return ClusterStatus(
        address=address,
        limpid=__version__,
        ray=ray.__version__,
        python=platform.python_version(),
        nodes=tuple(sorted(found, key=lambda node: (node.name, node.address))),
        gone=len(nodes) - len(alive),
        problems=tuple(problems_of(found)),
    )


def _node(node: Mapping[str, Any], free: Mapping[str, float], answer: NodeFacts | str) -> NodeStatus:
    has = node["Resources"]

    def left(name: str) -> float | None:
        return free.get(name, 0.0) if free else None

    memory = left("memory")
    return NodeStatus(
        name=node.get("NodeManagerHostname") or node["NodeManagerAddress"],
        address=node["NodeManagerAddress"],
        cores=has.get("CPU", 0.0),
        free_cores=left("CPU"),
        gpus=has.get("GPU", 0.0),
        free_gpus=left("GPU"),
        memory_bytes=int(has.get("memory", 0)),
        free_memory_bytes=None if memory is None else int(memory),
        facts=answer if isinstance(answer, NodeFacts) else None,
        trouble=answer if isinstance(answer, str) else None,
    )


def _free(ray: Any) -> Mapping[str, Mapping[str, float]]:
    """Node -> what is free on it; empty where this version of Ray does not say, or says it elsewhere."""
    with contextlib.suppress(Exception):
        from ray._private.state import available_resources_per_node

        return dict(available_resources_per_node())  # type: ignore[no-untyped-call]
    return {}


def _ask(ray: Any, nodes: Sequence[str]) -> dict[str, NodeFacts | str]:
    """Ask every node at once what it is: its facts, or why there are none."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = ray.remote(num_cpus=0, max_retries=0)(make_probe())
    calls = {
        probe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(): node
        for node in nodes
    }
    done, _ = ray.wait(list(calls), num_returns=len(calls), timeout=PROBE_S) if calls else ([], [])
    answers: dict[str, NodeFacts | str] = dict.fromkeys(nodes, f"it does not answer within {PROBE_S:.0f} s")
    for call in done:
        try:
            answers[calls[call]] = facts_of(ray.get(call))
        except Exception as error:  # noqa: BLE001  (whatever a node runs into is said of it)
            answers[calls[call]] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return answers


def make_probe() -> Callable[[], dict[str, Any]]:
    """A function that travels as it is written, so that it works where Limpid is missing or another one."""

    def probe() -> dict[str, Any]:
        try:
            import limpid

            version = limpid.__version__
        except Exception as error:  # noqa: BLE001  (said to whoever asks)
            return {"trouble": f"Limpid cannot be loaded: {type(error).__name__}: {error}"}
        try:
            from limpid.cluster.status import facts_here

            return {"facts": facts_here()}
        except Exception as error:  # noqa: BLE001
            return {"trouble": f"Limpid {version} does not work: {type(error).__name__}: {error}"}

    return probe


def facts_of(said: Mapping[str, Any]) -> NodeFacts | str:
    """What a probe has said."""
    if "trouble" in said:
        return str(said["trouble"])
    values = dict(said["facts"])
    return NodeFacts(**{**values, "gpus": tuple(GpuStatus(**gpu) for gpu in values["gpus"])})


def facts_here() -> dict[str, Any]:
    """The values of `NodeFacts` for this machine, as plain ones."""
    import torch

    from limpid.plan.device import choose_dtype, device_model, versions
    from limpid.plan.memory import free_bytes

    processor = torch.device("cpu")
    return {
        "limpid": __version__,
        "versions": versions(),
        "processor": device_model(processor),
        "dtype": choose_dtype("auto", processor),
        "cuda": torch.version.cuda,
        "free_bytes": free_bytes(),
        "disk_free_bytes": shutil.disk_usage(tempfile.gettempdir()).free,
        "gpus": gpus_here(),
    }


def gpus_here() -> list[dict[str, Any]]:
    """The GPUs that NVIDIA's driver sees: PyTorch sees in a task of Ray only those that were given to the task."""
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=_SMI_S, check=True).stdout
        return [_gpu(line) for line in said.splitlines() if line.strip()]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def _gpu(line: str) -> dict[str, Any]:
    name, total, free = (part.strip() for part in line.rsplit(",", 2))
    return {"name": name, "memory_bytes": int(total) << 20, "free_bytes": int(free) << 20}


def problems_of(nodes: Sequence[NodeStatus]) -> list[str]:
    """What stands in the way of a run on all nodes, a sentence each."""
    found = [f"{node.name}: {node.trouble}" for node in nodes if node.trouble]
    told = [(node, node.facts) for node in nodes if node.facts is not None]
    for node, facts in told:
        if facts.limpid != __version__:
            found.append(f"{node.name}: it has Limpid {facts.limpid}, and this machine {__version__}")
        if node.gpus and facts.cuda is None:
            found.append(f"{node.name}: it has a GPU, but its torch {facts.versions.get('torch')} has no CUDA")
    return found + _unlike(told)


def _unlike(told: Sequence[tuple[NodeStatus, NodeFacts]]) -> list[str]:
    """Nodes that could not take part in a run with the others, because its bytes could differ."""
    kinds = ([pair for pair in told if bool(pair[0].gpus) == on_gpus] for on_gpus in (False, True))
    return [
        sentence for kind in kinds if kind for sentence in _outsiders([(n, _decisive(n, facts)) for n, facts in kind])
    ]


def _decisive(node: NodeStatus, facts: NodeFacts) -> dict[str, str]:
    """What must be the same on all workers of a run."""
    model = ", ".join(sorted({gpu.name for gpu in facts.gpus})) if node.gpus else facts.processor
    return {**facts.versions, "model": model, **({} if node.gpus else {"dtype": facts.dtype})}


def _outsiders(group: Sequence[tuple[NodeStatus, Mapping[str, str]]]) -> list[str]:
    counts = Counter(tuple(sorted(values.items())) for _, values in group)
    usual = dict(counts.most_common(1)[0][0])
    sentences = []
    for node, values in group:
        names = differences(usual, values)
        said = ", ".join(f"{name} ({values.get(name)}, not {usual.get(name)})" for name in names)
        but = "" if any(is_same_everywhere(f"versions.{name}") for name in names) else "; with --mixed it would"
        if names:
            sentences.append(
                f"{node.name}: it would not be used together with the others, because it differs: {said}{but}"
            )
    return sentences
