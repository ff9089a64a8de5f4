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


def cluster_count(nodes: Sequence[Node], asked: AskedWorkers, *, threads: int | None, device: str) -> tuple[int, bool]:
    """How many workers fit on the machines that are there, and whether each has a GPU."""
    num_gpus = sum(int(node.gpus) for node in nodes)
    on_gpus = device in ("auto", "cuda") and num_gpus > 0
    each = threads or CPU_GROUP
    room = num_gpus if on_gpus else sum(max(int(node.cpus // each), 1 if node.cpus >= 1 else 0) for node in nodes)
    return (min(asked.count, room) if asked.count else room), on_gpus
