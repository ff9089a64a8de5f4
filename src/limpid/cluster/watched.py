"""Calls of Ray that may never return, made while somebody looks whether they still can."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

_GLANCE_S = 0.2
_Found = TypeVar("_Found")


def watched(ask: Callable[[], _Found], look: Callable[[], object], *, stay: threading.Event | None = None) -> _Found:
    """What ``ask`` returns or raises, unless ``look`` raises before: it is called five times a second meanwhile.

    Ray waits without end for what is gone, or ends this process without a word. So it is asked in a thread that nobody
    has to wait for. ``stay``: that thread is there until then, because processes may end with the thread that started
    them (PR_SET_PDEATHSIG of Linux).
    """
    answer = _elsewhere(ask, stay)
    while not wait([answer], _GLANCE_S).done:
        look()
    return answer.result()


def _elsewhere(ask: Callable[[], _Found], stay: threading.Event | None) -> Future[_Found]:
    answer: Future[_Found] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            answer.set_exception(error)
        if stay is not None:
            stay.wait()

    threading.Thread(target=run, name="limpid-ask", daemon=True).start()
    return answer
