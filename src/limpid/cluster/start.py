"""A cluster of Ray for one command: started here and ended with it, or one that is running already.

An own cluster has one node, this machine. It listens on the loopback interface only, asks for a token, reports nothing
to anyone, and dies with this process, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from limpid.bounded import quoted
from limpid.cluster.crew import ClusterLostError
from limpid.cluster.folders import make_folder
from limpid.cluster.guard import GUARD_MARK, guard
from limpid.cluster.ray_crew import Pillar
from limpid.cluster.ray_import import import_ray
from limpid.cluster.reach import NO_ANSWER, place_of
from limpid.cluster.watched import watched
from limpid.durable.files import discard
from limpid.types import ResourceError

STORE_BYTES = 192 << 20
"""Memory of an own cluster's object store: the frames and segments that are on their way, with room to spare."""
_LOST_AFTER_S = 20
_QUIET = {
    "enable_metrics_collection": False,
    "task_events_report_interval_ms": 0,
    "event_stats": False,
    "raylet_report_resources_period_milliseconds": 1000,
}
"""What Ray measures of itself takes a part of a core; nobody looks at it in a cluster that ends with the command."""
_NOT_IN_AFTER_S = 3.0
"""How long nobody may listen while a cluster lets us in: nothing is lost yet, and Ray may end us without a word."""
_PREFIX = "limpid-ray-"
_NEEDED = {"gcs_server", "raylet"}


@dataclass(frozen=True)
class Connection:
    """A cluster that this process is connected to."""

    ray: Any
    folder: Path | None
    """For the files of workers, where they are on this machine; None: each has its own place."""

    def addresses(self) -> tuple[str, str]:
        """Where the cluster keeps its books, and of the node that this process belongs to."""
        here = self.ray.get_runtime_context()
        node = next(node for node in self.ray.nodes() if node["NodeID"] == here.get_node_id())
        return str(here.gcs_address), f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"


@contextlib.contextmanager
def own_cluster(num_cpus: int) -> Iterator[Connection]:
    """A cluster of this machine alone. Raises ResourceError where it does not start."""
    ray = import_ray(own=True)
    if ray.is_initialized():  # one process is connected to one cluster
        yield Connection(ray, None)
        return
    folder, lock = make_folder(_short_base(), _PREFIX)
    watch, end, ended = guard(folder), ray.shutdown, threading.Event()
    try:
        with _marked(folder):
            try:
                _start(ray, folder, num_cpus, ended)
            except _StuckError:
                end = partial(_never_end, ray)
                raise
        yield Connection(ray, folder)
    finally:
        with _without_signals():
            end()
            discard(folder)
            watch.close()
            lock.close()
            ended.set()


@contextlib.contextmanager
def _marked(folder: Path) -> Iterator[None]:
    """What is started meanwhile is ended by the guard, and so is what that starts."""
    os.environ[GUARD_MARK] = str(folder)
    try:
        yield
    finally:
        del os.environ[GUARD_MARK]


class _StuckError(ResourceError):
    """Ray waits for a part of itself that has ended."""


def _start(ray: Any, folder: Path, num_cpus: int, ended: threading.Event) -> None:
    begin = partial(
        ray.init,
        address="local",
        num_cpus=num_cpus,
        num_gpus=0,  # a worker is told which one it has
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        log_to_driver=False,
        configure_logging=False,
        logging_level="ERROR",
        namespace="limpid",
        _temp_dir=str(folder),
        _system_config={"gcs_rpc_server_reconnect_timeout_s": _LOST_AFTER_S, **_QUIET},
    )
    try:
        with _without_signals():
            watched(begin, _Parts().look, stay=ended)
    except _StuckError:
        raise
    except Exception as error:  # whatever Ray raises where it does not start
        raise ResourceError(f"Ray does not start on this machine: {_first_line(error)}") from error


@dataclass
class _Parts:
    """Processes of Ray that this one starts, of those that it waits for while it starts."""

    former: set[int] = field(default_factory=lambda: set(_parts()))
    """Processes of a cluster before."""
    seen: set[int] = field(default_factory=set)

    def look(self) -> None:
        """Raises _StuckError where one has ended."""
        now = {pid: alive for pid, alive in _parts().items() if pid not in self.former}
        if self.seen - now.keys() or not all(now.values()):
            raise _StuckError("Ray does not start here: a part of it has ended; the same command tries again")
        self.seen |= now.keys()


def _parts() -> dict[int, bool]:
    """Those processes, and whether each is alive."""
    found = {}
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.name() in _NEEDED:
                found[child.pid] = child.status() != psutil.STATUS_ZOMBIE
    return found


@contextlib.contextmanager
def running_cluster(address: str) -> Iterator[Connection]:
    """A cluster that somebody else has started. Raises ResourceError where nothing answers."""
    ray = import_ray(own=False)
    if ray.is_initialized():  # by whoever called us, who also ends it
        yield Connection(ray, None)
        return
    begin = partial(
        ray.init,
        address=address,
        namespace="limpid",
        log_to_driver=False,
        configure_logging=False,
        logging_level="ERROR",
    )
    try:
        with _without_signals():
            watched(begin, _looks_after(address))
    except ClusterLostError:
        _never_end(ray)
        raise
    except Exception as error:
        raise ResourceError(_why_not(address, error)) from error
    try:
        yield Connection(ray, None)
    finally:
        with _without_signals():
            ray.shutdown()


def _looks_after(address: str) -> Callable[[], object]:
    """Raises ClusterLostError where nothing listens there any more; knows nothing of ``auto`` and the like."""
    if place_of(address) is None:
        return lambda: None
    return Pillar(address.removeprefix("ray://"), _NOT_IN_AFTER_S).stands


def _never_end(ray: Any) -> None:
    """Not even at the end of this process: who ends Ray waits for whoever is stuck while it starts."""
    atexit.unregister(ray.shutdown)


def _why_not(address: str, error: BaseException) -> str:
    """Why a cluster does not let us in, from the pages that Ray says."""
    said = " ".join(str(error).split())
    if "ersion mismatch" in said:
        return f"the Ray cluster at {quoted(address)} has other versions than this machine: {said[:300]}"
    if "token" in said.lower() or (isinstance(error, ConnectionError) and ":" in address):  # it spoke as Ray does
        return (
            f"the Ray cluster at {quoted(address)} does not let us in: RAY_AUTH_MODE and RAY_AUTH_TOKEN must be those "
            f"of the cluster, see docs/cluster.md (Ray says: {said[:200]})"
        )
    return NO_ANSWER.format(quoted(address), _first_line(error))


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')[:200]}"


def _short_base() -> Path:
    """Sockets lie below it, and their names must not be long."""
    base = Path(tempfile.gettempdir())
    return base if len(str(base)) <= 30 or os.name == "nt" else Path("/tmp")


@contextlib.contextmanager
def _without_signals() -> Iterator[None]:
    """Ray must neither be stopped half way nor exchange our handlers; what came meanwhile is told afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    real = signal.signal
    before = {n: real(n, lambda number, frame: came.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    signal.signal = lambda number, handler: signal.getsignal(number)  # type: ignore[assignment]  # Ray has its own
    try:
        yield
    finally:
        signal.signal = real
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in came[:1]:
            os.kill(os.getpid(), number)
