"""Ray clusters of several nodes on this machine, commands that run on them, and what may be killed of both.

Used by the benchmarks and tests of `limpid.cluster`. Every process is found by its folder: nothing else is touched.
Run as a program it is a cluster that takes orders, a line each, on its standard input, until that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STORE_BYTES = 128 << 20
PATIENCE_S = 120.0
ACTOR = "ray::Worker"
"""How the words of a worker of Limpid begin."""


def surroundings(folder: Path) -> dict[str, str]:
    """Variables of processes that belong to a folder: all that they leave lies in it."""
    told = {"TMPDIR": str(folder), "RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0"}
    told["PYTHONFAULTHANDLER"] = "1"  # SIGABRT tells where a process hangs
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    source = str(Path(__file__).resolve().parent.parent / "src")
    path = os.pathsep.join([source, *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, **told, **threads, "PYTHONPATH": path}


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose name is short enough for the sockets of Ray; what is alive in it at the end is killed."""
    folder = Path(tempfile.mkdtemp(prefix="lc-", dir="/tmp"))
    try:
        yield folder
    finally:
        for pid in processes_of(folder):
            kill(pid)
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------------------------------------- processes of a folder


def processes_of(folder: Path) -> dict[int, str]:
    """Processes that have something of the folder in their words, variables or open files, and what they are."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid() and _belongs(place, str(folder).encode()):
            found[int(place.name)] = _words(place)
    return found


def _words(place: Path) -> str:
    try:
        return (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _belongs(place: Path, folder: bytes) -> bool:
    try:
        if (place / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        if any(folder in (place / name).read_bytes() for name in ("cmdline", "environ")):
            return True
        return any(os.fsencode(fd.readlink()).startswith(folder) for fd in (place / "fd").iterdir())
    except OSError:
        return False


def actors(folder: Path) -> list[int]:
    """Workers of Limpid."""
    return list(_beginning(ACTOR, processes_of(folder)))


def raylets(folder: Path) -> list[int]:
    """One for each node; the memory of objects is a part of it."""
    return [pid for pid, words in processes_of(folder).items() if words.partition(" ")[0].endswith("/raylet")]


def books(folder: Path) -> list[int]:
    """What knows the nodes and actors of a cluster."""
    return [pid for pid, words in processes_of(folder).items() if words.partition(" ")[0].endswith("/gcs_server")]


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def gone(folder: Path, seconds: float = 30.0, *, only: str = "") -> dict[int, str]:
    """What is left after that time, at most, of a folder's processes whose words begin like that; empty is good."""
    until = time.monotonic() + seconds
    while (left := _beginning(only, processes_of(folder))) and time.monotonic() < until:
        time.sleep(0.2)
    return left


def _beginning(words: str, processes: dict[int, str]) -> dict[int, str]:
    return {pid: each for pid, each in processes.items() if each.startswith(words)}


# ------------------------------------------------------------------------------------------------------------ commands


@dataclass
class Command:
    """A running ``limpid upscale --json``; its events are kept."""

    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """Lines of standard error."""
    _coming: queue.SimpleQueue[dict[str, Any] | None] = field(default_factory=queue.SimpleQueue)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        for read in (self._read, self._listen):
            self._threads.append(threading.Thread(target=read, daemon=True))
            self._threads[-1].start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):  # a line that was cut off by a kill
                event = json.loads(line)
                self.events.append(event)
                self._coming.put(event)
        self._coming.put(None)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = PATIENCE_S) -> bool:
        """Wait for an event; False where the command ended before."""
        stop = time.monotonic() + seconds
        while True:
            event = self._coming.get(timeout=max(stop - time.monotonic(), 0.01))
            if event is None or wanted(event):
                return event is not None

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        code = self.process.wait(seconds)
        for thread in self._threads:
            thread.join(0.5)  # processes that outlive a killed command hold its pipes for a while
        return code

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    @property
    def messages(self) -> str:
        """Warnings and errors, as one text."""
        told = [str(event.get("message", "")) for event in self.events]
        return "\n".join([*filter(None, told), *self.said])


def upscale(folder: Path, clip: Path, output: Path, *words: str) -> Command:
    """Start a command whose files lie in a folder."""
    command = [sys.executable, "-m", "limpid", "upscale", str(clip), str(output), "--json", "--threads", "1", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return Command(subprocess.Popen(command, env=surroundings(folder), start_new_session=True, **pipes))  # type: ignore[call-overload]


def run_limpid(folder: Path, *words: str) -> tuple[int, str]:
    """A command that belongs to a folder, until it ends: its exit code and what it printed."""
    command = [sys.executable, "-m", "limpid", *words]
    told = {"capture_output": True, "text": True, "timeout": PATIENCE_S, "check": False}
    done = subprocess.run(command, env=surroundings(folder), **told)  # type: ignore[call-overload]
    return done.returncode, done.stdout


# ------------------------------------------------------------------------------------------------------------- cluster


class Nodes:
    """A cluster of so many nodes, each with one processor core, in a process of its own.

    ``unlike``: on all nodes but the first one PyTorch does without the vector instructions of the processor.
    """

    def __init__(self, folder: Path, count: int, cpus: int = 1, *, unlike: bool = False) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(count), str(cpus), str(int(unlike))],
            env=surroundings(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        said = self._said()
        self.address: str = said["address"]
        self.raylets: list[int] = said["raylets"]

    def _said(self) -> Any:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError("the cluster did not start")

    def add(self) -> None:
        """One more node."""
        assert self._process.stdin is not None
        self._process.stdin.write("add\n")
        self._process.stdin.flush()
        self.raylets = self._said()["raylets"]

    def close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            kill(self._process.pid)


def serve(count: int, cpus: int, unlike: int) -> None:
    """A cluster until standard input ends."""
    from ray.cluster_utils import Cluster

    each = {"num_cpus": cpus, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**each, "include_dashboard": False})
    others = {**each, "env_vars": {"ATEN_CPU_CAPABILITY": "default"}} if unlike else each
    for _ in range(count - 1):
        cluster.add_node(**others)

    def tell() -> None:
        nodes = [cluster.head_node, *cluster.worker_nodes]
        pids = [node.all_processes["raylet"][0].process.pid for node in nodes]
        print(json.dumps({"address": cluster.address, "raylets": pids}), flush=True)

    tell()
    for _ in sys.stdin:
        cluster.add_node(**each)
        tell()
    with contextlib.suppress(Exception):  # nodes that were killed
        cluster.shutdown()


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
