"""``limpid cluster``: looks at a running Ray cluster before a film is sent there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from limpid.cli.parser import Parser, parse
from limpid.cli.words import shown, size_text
from limpid.types import SettingsError

if TYPE_CHECKING:
    from limpid.cluster.status import ClusterStatus, NodeFacts, NodeStatus

USAGE = "limpid cluster status [ADDRESS] [--json]"
DESCRIPTION = """Look at a running Ray cluster (docs/cluster.md).

  status   its nodes, what is free on them, and whether Limpid works there

The exit code is 1 when a node could not be used with the others."""
STATUS = """The nodes of a Ray cluster, what is free on them, and whether Limpid works there.

Without ADDRESS: that of $RAY_ADDRESS, else a cluster on this machine.
The exit code is 1 when a node could not be used with the others."""


def command(arguments: list[str]) -> int:
    """Run one action; returns 0, or 1 when a node has a problem. Raises SettingsError, ResourceError."""
    if arguments and arguments[0] in ACTIONS:
        return ACTIONS[arguments[0]](arguments[1:])
    parse(make_parser(), arguments)
    raise SettingsError("options come after the action: limpid cluster status ... (see --help)")


def make_parser() -> Parser:
    parser = Parser("limpid cluster", usage=USAGE, description=DESCRIPTION)
    parser.add_argument("action", choices=tuple(ACTIONS), help=argparse.SUPPRESS)
    return parser


def _status_parser() -> Parser:
    parser = Parser("limpid cluster status", usage=USAGE, description=STATUS)
    parser.add_argument("address", nargs="?", metavar="ADDRESS", help="HOST:PORT as for limpid upscale --cluster")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def status(arguments: list[str]) -> int:
    """Print what there is; returns 1 when a node could not be used with the others."""
    options = parse(_status_parser(), arguments)
    from limpid.cluster.status import cluster_status

    found = cluster_status(options.address)
    print(json.dumps(asdict(found), indent=2) if options.json else status_text(found))
    return int(bool(found.problems))


def status_text(status: ClusterStatus) -> str:
    """A cluster in words: a line on all of it, two for each node, and what stands in the way."""
    nodes = status.nodes
    gone = f", {status.gone} gone" if status.gone else ""
    lines = [f"{shown(status.address)}: {len(nodes)} node{'s' * (len(nodes) != 1)}{gone}, {_sum_text(nodes)}"]
    lines.append(f"Ray {status.ray}, Python {status.python}; Limpid {status.limpid} here")
    for node in nodes:
        lines.append(f"\n{shown(node.name)} ({shown(node.address)}): {_room_text(node)}")
        lines.append("  " + (_facts_text(node.facts) if node.facts else shown(node.trouble or "unknown")))
    lines += ["", *(f"! {shown(problem)}" for problem in status.problems)] if status.problems else []
    return "\n".join(lines)


def _sum_text(nodes: tuple[NodeStatus, ...]) -> str:
    cores = _free_text([node.free_cores for node in nodes], sum(node.cores for node in nodes), "cores")
    return f"{cores}, {_free_text([node.free_gpus for node in nodes], sum(node.gpus for node in nodes), 'GPUs')}"


def _free_text(free: list[float | None], whole: float, unit: str) -> str:
    known = [value for value in free if value is not None]
    return f"{sum(known):g} of {whole:g} {unit} free" if len(known) == len(free) and whole else f"{whole:g} {unit}"


def _room_text(node: NodeStatus) -> str:
    parts = [_free_text([node.free_cores], node.cores, "cores")]
    parts += [_free_text([node.free_gpus], node.gpus, "GPUs")] if node.gpus else []
    if node.facts is not None:
        parts.append(f"{size_text(node.facts.free_bytes)} of memory free")
        parts.append(f"{size_text(node.facts.disk_free_bytes)} of disk free")
    return ", ".join(parts)


def _facts_text(facts: NodeFacts) -> str:
    versions = facts.versions
    parts = [f"Limpid {facts.limpid}, torch {versions.get('torch')}, Python {versions.get('python')}"]
    parts.append(f"{shown(facts.processor)}, {facts.dtype}")
    parts += [
        f"{shown(gpu.name)} ({size_text(gpu.free_bytes)} of {size_text(gpu.memory_bytes)} free)" for gpu in facts.gpus
    ]
    return "; ".join(parts)


ACTIONS: dict[str, Callable[[list[str]], int]] = {"status": status}

PARSERS: dict[str, Callable[[], Parser]] = {"status": _status_parser}
