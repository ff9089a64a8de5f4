"""How many workers there are, with how many threads, on which GPUs."""

from __future__ import annotations

import pytest

from limpid.cluster.places import AskedWorkers, Node, cluster_share, local_share, parse_workers

SMALL, LARGE, GPUS = Node(cpus=2, gpus=0), Node(cpus=16, gpus=0), Node(cpus=8, gpus=2)


def test_what_is_asked_for() -> None:
    assert parse_workers(None) == parse_workers("auto") == AskedWorkers()
    assert parse_workers("3") == AskedWorkers(count=3)
    assert parse_workers("cuda:1,cuda:0,cuda:1") == AskedWorkers(gpus=(1, 0))


def test_a_cluster_without_gpus_is_cut_into_groups_of_cores() -> None:
    share = cluster_share([SMALL, LARGE], AskedWorkers(), threads=None, device="auto")
    assert (share.count, share.threads, share.num_cpus, share.on_gpus) == (5, 4, 2, False)
    share = cluster_share([LARGE], AskedWorkers(), threads=2, device="cpu")
    assert (share.count, share.threads, share.num_cpus) == (8, 2, 2)
    assert cluster_share([], AskedWorkers(), threads=None, device="auto").count == 0


def test_each_gpu_of_a_cluster_has_a_worker() -> None:
    share = cluster_share([SMALL, GPUS, GPUS], AskedWorkers(), threads=None, device="auto")
    assert (share.count, share.num_cpus, share.on_gpus) == (4, 1, True)
    assert not cluster_share([GPUS], AskedWorkers(), threads=None, device="cpu").on_gpus


def test_more_workers_than_have_room_are_waited_for() -> None:
    assert cluster_share([SMALL], AskedWorkers(count=16), threads=1, device="auto").count == 16
    assert cluster_share([GPUS], AskedWorkers(count=1), threads=None, device="auto").count == 1


@pytest.mark.parametrize(
    ("asked", "cores", "gpus", "threads", "wanted"),
    [
        (AskedWorkers(), 8, 0, None, (2, 4, (None, None))),
        (AskedWorkers(count=4), 8, 0, None, (4, 2, (None,) * 4)),
        (AskedWorkers(), 8, 2, None, (2, 4, (0, 1))),
        (AskedWorkers(gpus=(1,)), 8, 2, 3, (1, 3, (1,))),
        (AskedWorkers(count=5), 2, 0, 1, (5, 1, (None,) * 5)),
    ],
)
def test_this_machine(
    asked: AskedWorkers,
    cores: int,
    gpus: int,
    threads: int | None,
    wanted: tuple[int, int, tuple[int | None, ...]],
) -> None:
    share = local_share(asked, cores=cores, num_gpus=gpus, threads=threads, device="auto")
    assert (share.count, share.threads, share.gpus) == wanted
