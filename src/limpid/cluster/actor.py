"""The process of a worker: sets up its surroundings before PyTorch is loaded, then does what `Workshop` says.

Ray imports this module in every worker, so nothing here loads PyTorch when it is imported.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limpid.cluster.folders import make_folder
from limpid.cluster.guard import guard, parents_end

if TYPE_CHECKING:
    from limpid.cluster.orders import FilmOrder, UnitOrder, Update, WorkerCard
    from limpid.settings import Settings
    from limpid.types import VideoFrame

_PREFIX = "limpid-worker-"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Where a worker works."""

    folder: str | None = None
    """For its files; None: the temporary folder of its machine."""
    device: str | None = None
    """Instead of what the settings say."""
    gpu: int | None = None
    """Number of the only GPU that it sees; None: what Ray gave it."""
    threads: int | None = None
    """Threads of PyTorch and others, from the first moment on."""


class Worker:
    """A `limpid.cluster.workshop.Workshop` in a process of its own."""

    def __init__(self, slot: Slot) -> None:
        if slot.gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = str(slot.gpu)
        os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it to a share of its own
        if slot.threads is not None:
            os.environ["OMP_NUM_THREADS"] = str(slot.threads)
        threading.Thread(target=_end_with_node, name="limpid-watch", daemon=True).start()
        folder, self._lock = make_folder(Path(slot.folder or tempfile.gettempdir()), _PREFIX)
        self._guard = guard(folder) if slot.folder is None else None  # others are deleted with the cluster

        from limpid.cluster.workshop import Workshop

        self._shop = Workshop(folder, device=slot.device)

    def describe(self, settings: Settings, threads: int | None) -> WorkerCard:
        return self._shop.describe(settings, threads)

    def open(self, film: FilmOrder) -> None:
        self._shop.open(film)

    def begin(self, order: UnitOrder) -> None:
        self._shop.begin(order)

    def give(self, number: int, frames: Sequence[VideoFrame]) -> None:
        self._shop.give(number, frames)

    def collect(self, wait_s: float) -> Update:
        return self._shop.collect(wait_s)


def _end_with_node() -> None:
    """Ray's part of the node is gone: nobody will ask for what is made here, and Ray may take minutes to end us."""
    parents_end()
    os._exit(1)
