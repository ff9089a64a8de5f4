"""Workers as actors of Ray."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any, TypeVar

from limpid.cluster.actor import Slot, Worker
from limpid.cluster.crew import Answer, ClusterLostError, WorkerLostError
from limpid.cluster.watched import watched

_NEVER_RETRY = {"max_restarts": 0, "max_task_retries": 0}
"""What is lost is the head's to decide: it knows what is durable."""
LOOK_AGAIN_S = 2.0
"""Machines come and go; so often they are counted."""
_Found = TypeVar("_Found")


@dataclass(frozen=True, kw_only=True)
class Place:
    """What one worker is asked for of Ray, and how it sets itself up."""

    slot: Slot
    num_cpus: float = 1
    num_gpus: float = 0


@dataclass(frozen=True, eq=False)
class RayCall:
    """A reference to an answer."""

    ray: Any
    ref: Any

    def result(self) -> Any:
        errors = self.ray.exceptions
        try:
            return self.ray.get(self.ref)
        except errors.RayTaskError as error:
            raise (
                error.cause if isinstance(error.cause, Exception) else WorkerLostError(_short(error), by_itself=True)
            ) from error
        except errors.ActorDiedError as error:
            raise WorkerLostError(_short(error), by_itself="node" not in str(error).lower()) from error
        except (errors.RayActorError, errors.ObjectLostError, errors.OutOfMemoryError) as error:
            raise WorkerLostError(_short(error), by_itself=False) from error
        except (errors.RaySystemError, errors.RpcError, ConnectionError) as error:
            raise ClusterLostError(_short(error)) from error


@dataclass
class Pillar:
    """What a cluster stands on: its book-keeper, or our own node. Ray ends us without a word, or waits for ever."""

    address: str
    patience_s: float
    """So long it may be away: clusters can start it again."""
    clock: Callable[[], float] = time.monotonic
    _away_since: float | None = None
    _asked: float = -math.inf

    def stands(self) -> bool:
        """Looks once in a second, whoever asks how often. Raises ClusterLostError once they are away for too long."""
        now = self.clock()
        if now - self._asked >= 1:
            self._asked = now
            there = listens(self.address, 1.0)
            self._away_since = None if there else now if self._away_since is None else self._away_since
        if self._away_since is not None and now - self._away_since > self.patience_s:
            raise ClusterLostError(f"nothing listens at {self.address}")
        return self._away_since is None


def listens(address: str, seconds: float) -> bool:
    """Whether somebody takes connections at ``HOST:PORT``."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), seconds).close()
    except (OSError, ValueError):
        return False
    return True


@dataclass
class RayCrew:
    """Actors by name: what `limpid.cluster.crew.Crew` promises."""

    ray: Any
    places: Callable[[], Sequence[Place]]
    """Where workers should be now."""
    pillars: Sequence[Pillar] = ()
    clock: Callable[[], float] = time.monotonic
    _known: tuple[float, Sequence[Place]] = (-math.inf, ())
    """When places were looked at, and what there was."""
    _actors: dict[str, Any] = field(default_factory=dict)
    _taken: dict[str, Place] = field(default_factory=dict)
    _names: count[int] = field(default_factory=lambda: count(1))

    def wanted(self) -> int:
        return len(self._places())

    def _places(self) -> Sequence[Place]:
        """Whoever knows the places is not asked for each answer of a worker, and not while it is away."""
        now = self.clock()
        if now - self._known[0] >= LOOK_AGAIN_S and self._stands():
            self._known = now, self._asked(self.places)
        return self._known[1]

    def _stands(self) -> bool:
        return all(pillar.stands() for pillar in self.pillars)

    def _asked(self, ask: Callable[[], _Found]) -> _Found:
        """What the cluster's book-keeper says. Raises ClusterLostError where it is away for too long."""
        try:
            return watched(ask, self._stands)
        except (self.ray.exceptions.RaySystemError, self.ray.exceptions.RpcError, ConnectionError) as error:
            raise ClusterLostError(_short(error)) from error

    def hire(self) -> str:
        places = list(self._places())
        free = list(places)
        for place in self._taken.values():
            if place in free:
                free.remove(place)
        place = (free or places)[0]
        make = self._worker.options(num_cpus=place.num_cpus, num_gpus=place.num_gpus)
        actor = self._asked(lambda: make.remote(place.slot))
        name = f"worker {next(self._names)}"
        self._actors[name], self._taken[name] = actor, place
        return name

    @cached_property
    def _worker(self) -> Any:
        """The kind of actor: one, which is told to the cluster only once."""
        return self.ray.remote(concurrency_groups={"results": 1}, **_NEVER_RETRY)(Worker)

    def call(self, name: str, method: str, *arguments: Any) -> Answer:
        actor = self._actors.get(name)
        if actor is None:
            raise WorkerLostError("it is gone", by_itself=False)
        found = getattr(actor, method)
        if method == "collect":
            found = found.options(concurrency_group="results")
        return RayCall(self.ray, found.remote(*arguments))

    def ready(self, calls: Sequence[Answer], seconds: float) -> list[Answer]:
        by_ref = {call.ref: call for call in calls if isinstance(call, RayCall)}
        if not by_ref:
            time.sleep(min(seconds, 0.05))
            self._stands()
            return []
        try:
            done, _ = self.ray.wait(list(by_ref), num_returns=1, timeout=seconds, fetch_local=True)
            more, _ = self.ray.wait(list(by_ref), num_returns=len(by_ref), timeout=0)
        except (self.ray.exceptions.RaySystemError, ConnectionError) as error:
            raise ClusterLostError(_short(error)) from error
        self._stands()
        return [by_ref[ref] for ref in dict.fromkeys((*done, *more))]

    def dismiss(self, name: str) -> None:
        actor = self._actors.pop(name, None)
        self._taken.pop(name, None)
        if actor is not None:
            with contextlib.suppress(Exception):
                self._asked(lambda: self.ray.kill(actor))

    def close(self) -> None:
        for name in list(self._actors):
            self.dismiss(name)


def _short(error: BaseException) -> str:
    """The first line of what Ray says, which has pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
