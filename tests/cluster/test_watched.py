"""A call that never returns keeps nobody waiting once somebody sees that it will not."""

from __future__ import annotations

import threading

import pytest

from limpid.cluster.watched import watched
from limpid.types import ResourceError


def test_what_returns_or_raises_does_so_as_if_nobody_looked() -> None:
    def fail() -> None:
        raise KeyError("no")

    assert watched(lambda: 3, look=lambda: None) == 3
    with pytest.raises(KeyError, match="no"):
        watched(fail, look=lambda: None)


def test_who_looks_ends_the_waiting() -> None:
    end, looked = threading.Event(), []

    def look() -> None:
        looked.append(1)
        if len(looked) == 3:
            raise ResourceError("it is gone")

    try:
        with pytest.raises(ResourceError, match="it is gone"):
            watched(end.wait, look)
    finally:
        end.set()
    assert len(looked) == 3


def test_a_thread_whose_processes_would_end_with_it_stays() -> None:
    end, threads = threading.Event(), []
    watched(lambda: threads.append(threading.current_thread()), look=lambda: None, stay=end)
    assert threads[0].is_alive()
    end.set()
    threads[0].join()
