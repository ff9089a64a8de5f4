"""How worker processes are started."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext


def worker_context(*modules: str) -> ForkServerContext:
    """Processes that fork from a clean server, which has imported ``modules`` once for all of them.

    Forking the training process itself would copy its threads' locks and the state of the GPU.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", *modules])
    return context
