"""A worker ends with the process that started it, Ray's part of its node, even where Ray itself does not end it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpid.cluster import guard as guards
from limpid.cluster.guard import parents_end

PATIENCE_S = 60.0

WORKER = """
import os, signal, sys, types
workshop = types.ModuleType("limpid.cluster.workshop")  # the true one loads PyTorch, for seconds
workshop.Workshop = lambda folder, device: None
sys.modules[workshop.__name__] = workshop
from limpid.cluster.actor import Slot, Worker
worker = Worker(Slot(folder=sys.argv[1]))
print(os.getpid(), flush=True)
while True:
    signal.pause()
"""

NODE = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", *sys.argv[1:]])
sys.stdin.read()
"""


@contextlib.contextmanager
def node_with_a_worker(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has started a worker, as Ray's part of a node does.

    Both write to the same pipe: it ends when both have ended.
    """
    command = [sys.executable, "-c", NODE, WORKER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as node:
        assert node.stdout is not None
        worker = int(node.stdout.readline())
        try:
            yield node
        except BaseException:
            for pid in (node.pid, worker):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise


@pytest.mark.skipif(os.name != "posix", reason="processes of other systems keep the number of a parent that is gone")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_ends_when_its_node_is_gone(tmp_path: Path, ending: signal.Signals) -> None:
    with node_with_a_worker(tmp_path) as node:
        assert node.stdout is not None
        assert node.poll() is None
        node.send_signal(ending)
        node.wait()
        ended, _, _ = select.select([node.stdout], [], [], PATIENCE_S)
        assert ended, "the worker is still there"
        assert node.stdout.read() == b""


def test_a_parent_is_watched_as_long_as_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, slept = iter([7, 7, 7, 7, 1]), list[float]()
    monkeypatch.setattr(guards.os, "getppid", lambda: next(seen))
    monkeypatch.setattr(guards.time, "sleep", slept.append)
    parents_end(poll_s=0.5)
    assert slept == [0.5] * 3
    assert list(seen) == []
