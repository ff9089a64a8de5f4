"""How many workers there should be and where: from what the user says and what a machine or a cluster has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CPU_GROUP = 4
"""Threads of a worker without a GPU: small networks on more threads are hardly faster."""


@dataclass(frozen=True, kw_only=True)
class AskedWorkers:
    """What ``--workers`` says."""

    count: int | None = None
    """None: as many as there is room for."""
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs of this machine that are to be used, each by one worker."""


def parse_workers(text: str | None) -> AskedWorkers:
    """``auto``, ``4`` or ``cuda:0,cuda:1``; the form was checked by `limpid.settings`."""
    if text is None or text == "auto":
        return AskedWorkers()
    if text.isdigit():
        return AskedWorkers(count=int(text))
    return AskedWorkers(gpus=tuple(dict.fromkeys(int(name.partition(":")[2]) for name in text.split(","))))


@dataclass(frozen=True, kw_only=True)
class Share:
    """Workers of one kind on a machine: how many, with how many threads, on which GPUs."""

    count: int
    threads: int
    gpus: tuple[int | None, ...]
    """For each worker the number of its GPU; None: none."""


def local_share(asked: AskedWorkers, *, cores: int, num_gpus: int, threads: int | None, device: str) -> Share:
    """How the workers of this machine are cut. ``threads``: of each, where that was said."""
    on_gpus = device in ("auto", "cuda") and (num_gpus > 0 or asked.gpus)
    if on_gpus:
        gpus: Sequence[int | None] = asked.gpus or range(min(asked.count or num_gpus, num_gpus))
    else:
        gpus = [None] * (asked.count or max(1, cores // (threads or CPU_GROUP)))
    each = threads or max(1, cores // len(gpus))
    return Share(count=len(gpus), threads=each, gpus=tuple(gpus))


def num_cuda_devices() -> int:
    """GPUs that PyTorch can use here."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine of a cluster."""

    cpus: float
    gpus: float


@dataclass(frozen=True, kw_only=True)
class ClusterShare:
    """Workers of one kind on a cluster."""

    count: int
    threads: int
    """Threads of each."""
    num_cpus: float
    """Processor cores that each is given by Ray."""
    on_gpus: bool


def cluster_share(nodes: Sequence[Node], asked: AskedWorkers, *, threads: int | None, device: str) -> ClusterShare:
    """How a cluster is cut: into as many workers as were asked for, else as have room on the machines that are there.

    More than have room now may be asked for, so that a cluster that grows on demand grows. Without a word on threads
    all workers have the same number, whatever machine they are on: it decides the bytes.
    """
    num_gpus = sum(int(node.gpus) for node in nodes)
    on_gpus = device in ("auto", "cuda") and num_gpus > 0
    each, cores = threads or CPU_GROUP, [node.cpus for node in nodes if node.cpus >= 1]
    room = num_gpus if on_gpus else sum(max(int(cpus // each), 1) for cpus in cores)
    num_cpus = 1 if on_gpus else min([each, *cores])
    return ClusterShare(count=asked.count or room, threads=each, num_cpus=num_cpus, on_gpus=on_gpus)
