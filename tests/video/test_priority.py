"""Encoders leave the priority of this process alone."""

from __future__ import annotations

import os
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media import make_video

from limpid.types import ColorTags, OutputSpec
from limpid.video.encode import FrameEncoder, add_video_stream
from limpid.video.priority import kept_priority

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="only Linux has these priorities")


def real_time_threads() -> set[int]:
    """Threads of this process that have real-time priority, SVT-AV1's own among them while one of its encoders is open.

    Other libraries' threads may have any ordinary policy: some make theirs SCHED_BATCH.
    """
    threads = {int(thread.name) for thread in Path("/proc/self/task").iterdir()}
    return {thread for thread in threads if os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR)}


def test_av1_of_a_run_leaves_all_threads_as_they_were(tmp_path: Path) -> None:
    spec = OutputSpec(
        codec="av1",
        container="mkv",
        width=64,
        height=64,
        fps=Fraction(25),
        time_base=Fraction(1, 25),
        color=ColorTags(matrix=1),
        crf=30,
    )
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        encoder = FrameEncoder(add_video_stream(container, spec), spec)
        list(encoder.encode(np.zeros((2, 64, 64, 3), np.uint8 if encoder.depth == 8 else np.uint16)))
        assert real_time_threads() == set()
        list(encoder.finish())


def test_av1_made_for_a_test_does_too(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", codec="libsvtav1", frames=2, options={"svtav1-params": "lp=1"})
    assert real_time_threads() == set()


def test_threads_started_inside_get_the_priority_back() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give itself real-time priority")
    ended, started = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        ended.wait()

    thread = threading.Thread(target=wait)
    try:
        with kept_priority():
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            thread.start()
            started.wait()
        assert real_time_threads() == set()
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        ended.set()
        thread.join()


def test_an_error_inside_goes_through() -> None:
    with pytest.raises(ZeroDivisionError), kept_priority():
        _ = 1 / 0
