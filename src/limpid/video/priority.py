"""The priority of threads while an encoder is opened.

SVT-AV1, run by root (as in many containers), gives itself and the thread that opened it real-time priority 99. Threads
that are started later inherit it, and whoever waits in a loop for an ordinary thread then waits for minutes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextlib.contextmanager
def kept_priority() -> Iterator[None]:
    """What is opened inside leaves this thread, and the threads it starts, with the priority that this thread has."""
    if not hasattr(os, "sched_getscheduler") or not _THREADS.is_dir():  # only Linux has both
        yield
        return
    policy, param, before = os.sched_getscheduler(0), os.sched_getparam(0), _threads()
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            for thread in {0, *(_threads() - before)}:
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    os.sched_setscheduler(thread, policy, param)


def _threads() -> set[int]:
    return {int(entry.name) for entry in _THREADS.iterdir()}
