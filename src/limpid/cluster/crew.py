"""What the head needs of whoever carries its messages to the workers: Ray in life, threads in tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from limpid.types import ResourceError


class WorkerLostError(Exception):
    """A worker is gone, and with it the answer that was waited for."""

    def __init__(self, reason: str, *, by_itself: bool) -> None:
        """``by_itself``: only the process died, perhaps because of what it did; not with its whole machine."""
        self.by_itself = by_itself
        super().__init__(reason)


class ClusterLostError(ResourceError):
    """Nothing of the cluster answers any more."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the Ray cluster does not answer any more ({reason}); finished segments are kept, and the same command "
            "goes on once it is there again"
        )


class Answer(Protocol):
    """An answer that a worker owes."""

    def result(self) -> Any:
        """The answer, once it is ready. Raises WorkerLostError, or what the worker raised."""
        ...


class Crew(Protocol):
    """Workers by name."""

    def wanted(self) -> int:
        """How many workers there should be now; changes where machines come and go."""
        ...

    def hire(self) -> str:
        """Let a new worker begin; its name. It is there when it answers."""
        ...

    def call(self, name: str, method: str, *arguments: Any) -> Answer:
        """Ask a worker for a method of `limpid.cluster.workshop.Workshop`; calls arrive in order.

        Raises WorkerLostError for one that was dismissed: another thread may not know that yet.
        """
        ...

    def ready(self, calls: Sequence[Answer], seconds: float) -> list[Answer]:
        """Those that have an answer, waiting for the first so long at most."""
        ...

    def dismiss(self, name: str) -> None:
        """End a worker at once."""
        ...

    def close(self) -> None:
        """End all that was begun, on every machine."""
        ...
